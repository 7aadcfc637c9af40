/* Greets everybody who connects: greeter PORT WORD HOST. Answers one client at a time. */
#include <arpa/inet.h>
#include <greeting.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(const char *what) {
  perror(what);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s PORT WORD HOST\n", argv[0]);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0) return fail("socket");
  int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  struct sockaddr_in address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  address.sin_port = htons((unsigned short)atoi(argv[1]));
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) return fail("bind");
  if (listen(listener, 16) < 0) return fail("listen");
  printf("greeting on port %s\n", argv[1]);
  fflush(stdout);

  for (;;) {
    struct sockaddr_in guest;
    socklen_t length = sizeof guest;
    int client = accept(listener, (struct sockaddr *)&guest, &length);
    if (client < 0) continue;
    char name[INET_ADDRSTRLEN], line[512];
    inet_ntop(AF_INET, &guest.sin_addr, name, sizeof name);
    size_t size = greeting(line, sizeof line, argv[2], argv[3], name);
    if (write(client, line, size) < 0) perror("write");
    close(client);
  }
}
