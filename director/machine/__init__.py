"""One virtual machine, reached over SSH: installed, started, watched, stopped."""
