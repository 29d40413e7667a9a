// An HTTP workload in Go: a native binary, the standard library only.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetFlags(0)
	term, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("go listening on %v", listener.Addr())

	server := &http.Server{Handler: routes()}
	finished := make(chan error, 1)
	go func() {
		<-term.Done()
		finished <- server.Shutdown(context.Background())
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	if err := <-finished; err != nil {
		log.Fatal(err)
	}
}

func routes() http.Handler {
	hello := fmt.Sprintf("%s from %s %s, replica %s on %s\n",
		environment("GREETING", "hello"),
		environment("MESH_APP", "go"),
		environment("MESH_VERSION", "unversioned"),
		environment("MESH_REPLICA", "alone"),
		environment("MESH_NODE", "this machine"))
	routes := http.NewServeMux()
	for path, body := range map[string]string{"/health": "ok\n", "/hello": hello} {
		routes.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
	}
	return routes
}

func environment(name, otherwise string) string {
	return cmp.Or(os.Getenv(name), otherwise)
}
