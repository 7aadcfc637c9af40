"""The shared vocabulary: frozen values, pure functions of them, no input or output."""
