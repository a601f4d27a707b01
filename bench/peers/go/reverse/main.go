// A reverse proxy to compare speed with: what Go's library brings. It encrypts nothing. Arguments: the address to
// listen at, the workload's URL.
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	workload, err := url.Parse(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) { request.SetURL(workload) },
		// Connections are kept for all that come at once; the default is two.
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}
	log.Fatal(http.ListenAndServe(os.Args[1], proxy))
}
