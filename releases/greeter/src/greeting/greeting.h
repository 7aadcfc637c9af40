#ifndef GREETING_H
#define GREETING_H

#include <stddef.h>

/* Writes a greeting of `guest` by `host` into `line`, with a line end; returns its length. */
size_t greeting(char *line, size_t size, const char *word, const char *host, const char *guest);

#endif
