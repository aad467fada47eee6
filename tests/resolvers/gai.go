// The pure Go resolver as an application calls it; the output has the shape of gai.c's.
// usage: gai NAME [inet|inet6]
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

func main() {
	network := "ip"
	if len(os.Args) > 2 {
		network = map[string]string{"inet": "ip4", "inet6": "ip6"}[os.Args[2]]
	}
	addresses, err := net.DefaultResolver.LookupIP(context.Background(), network, os.Args[1])
	var failure *net.DNSError
	switch {
	case err == nil:
		fmt.Println("ok errno 0")
	case errors.As(err, &failure) && (failure.IsTimeout || failure.IsTemporary):
		fmt.Println("EAI_AGAIN errno 0")
	case errors.As(err, &failure) && !failure.IsNotFound:
		fmt.Println("EAI_FAIL errno 0")
	default:
		// "no such host", or "no suitable address found" where hosts alone is asked.
		fmt.Println("EAI_NONAME errno 0")
	}
	for _, address := range addresses {
		fmt.Println(address)
	}
}
