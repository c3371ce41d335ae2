// Program executor plays the executor of Seldon Core, which is in no registry of Go modules: it passes predictions on to the one model
// server behind it, and answers the probes that Seldon's operator gives it. It has no graphs, gRPC, metrics or log of requests.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	// What the operator says of the SeldonDeployment is for the log of requests and the metrics.
	for _, name := range []string{"sdep", "namespace", "predictor", "grpc_port"} {
		_ = flag.String(name, "", "not used")
	}
	port := flag.Int("http_port", 8080, "where predictions are asked for")
	flag.Parse()
	if err := serve(fmt.Sprintf(":%d", *port), "127.0.0.1:9000"); err != nil {
		log.Fatal(err)
	}
}

// serve passes predictions on to the model server until the process is to end.
func serve(address, model string) error {
	server := &http.Server{Addr: address, Handler: handler(model), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func handler(model string) http.Handler {
	predict := &httputil.ReverseProxy{Rewrite: func(request *httputil.ProxyRequest) {
		request.Out.URL.Scheme, request.Out.URL.Host, request.Out.URL.Path = "http", model, "/predict"
	}}
	mux := http.NewServeMux()
	mux.Handle("POST /api/v0.1/predictions", predict)
	mux.Handle("POST /api/v1.0/predictions", predict)
	mux.HandleFunc("GET /live", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /ready", func(answer http.ResponseWriter, _ *http.Request) {
		connection, err := net.DialTimeout("tcp", model, time.Second)
		if err != nil {
			http.Error(answer, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_ = connection.Close()
	})
	return mux
}
