#include "greeting.h"

#include <stdio.h>

size_t greeting(char *line, size_t size, const char *word, const char *host, const char *guest) {
  int length = snprintf(line, size, "%s %s, this is %s\n", word, guest, host);
  if (length < 0) return 0;
  return (size_t)length < size ? (size_t)length : size - 1;
}
