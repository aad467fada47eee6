/* getaddrinfo as an application calls it; prints what came back.
 * usage: gai NAME [unspec|inet|inet6] [AI_ADDRCONFIG|AI_CANONNAME|AI_V4MAPPED|AI_ALL]...
 * One line `rc NAME errno N`, then one line per address in the order given by the libc. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#ifndef EAI_NODATA
#define EAI_NODATA (-5) /* glibc hides it without _GNU_SOURCE; musl before 1.2.4 has none */
#endif
#ifndef EAI_ADDRFAMILY
#define EAI_ADDRFAMILY (-9)
#endif

static const char *code_name(int code)
{
	switch (code) {
	case 0: return "ok";
	case EAI_NONAME: return "EAI_NONAME";
	case EAI_AGAIN: return "EAI_AGAIN";
	case EAI_FAIL: return "EAI_FAIL";
	case EAI_NODATA: return "EAI_NODATA";
	case EAI_ADDRFAMILY: return "EAI_ADDRFAMILY";
	case EAI_FAMILY: return "EAI_FAMILY";
	case EAI_MEMORY: return "EAI_MEMORY";
	case EAI_SYSTEM: return "EAI_SYSTEM";
	case EAI_OVERFLOW: return "EAI_OVERFLOW";
	default: return "EAI_other";
	}
}

int main(int argc, char **argv)
{
	struct addrinfo hints, *list = NULL, *one;
	int code, error, i;

	if (argc < 2)
		return 2;
	memset(&hints, 0, sizeof hints);
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM; /* one entry per address */
	for (i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "unspec")) hints.ai_family = AF_UNSPEC;
		else if (!strcmp(argv[i], "inet")) hints.ai_family = AF_INET;
		else if (!strcmp(argv[i], "inet6")) hints.ai_family = AF_INET6;
		else if (!strcmp(argv[i], "AI_ADDRCONFIG")) hints.ai_flags |= AI_ADDRCONFIG;
		else if (!strcmp(argv[i], "AI_CANONNAME")) hints.ai_flags |= AI_CANONNAME;
		else if (!strcmp(argv[i], "AI_V4MAPPED")) hints.ai_flags |= AI_V4MAPPED;
		else if (!strcmp(argv[i], "AI_ALL")) hints.ai_flags |= AI_ALL;
		else return 2;
	}
	errno = 0;
	code = getaddrinfo(argv[1], NULL, &hints, &list);
	error = errno;
	printf("%s errno %d\n", code_name(code), code == EAI_SYSTEM ? error : 0);
	if (code)
		return 0;
	for (one = list; one; one = one->ai_next) {
		char text[INET6_ADDRSTRLEN];
		const void *address = one->ai_family == AF_INET
			? (const void *)&((struct sockaddr_in *)one->ai_addr)->sin_addr
			: (const void *)&((struct sockaddr_in6 *)one->ai_addr)->sin6_addr;
		if (inet_ntop(one->ai_family, address, text, sizeof text))
			printf("%s\n", text);
	}
	if (list->ai_canonname)
		printf("canonname %s\n", list->ai_canonname);
	freeaddrinfo(list);
	return 0;
}
