"""Cloud provider interfaces: one folder per cloud, one contract for all of them."""
