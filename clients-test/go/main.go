// Go's net/http, told nothing but a base URL: a request with a body, and an event stream as it comes.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func post(path, contentType, body string) *http.Response {
	request, err := http.NewRequest("POST", os.Getenv("BASE_URL")+path, strings.NewReader(body))
	must(err)
	request.Header.Set("Authorization", "Bearer "+os.Getenv("API_KEY"))
	request.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(request)
	must(err)
	return response
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	question := os.Getenv("QUESTION")
	echo := post("/echo", "text/plain", question)
	text, err := io.ReadAll(echo.Body)
	must(err)
	body, err := json.Marshal(map[string]any{
		"model": "tiny", "stream": true, "messages": []any{map[string]any{"role": "user", "content": question}},
	})
	must(err)
	stream := post("/v1/chat/completions", "application/json", string(body))
	events, last := 0, ""
	for lines := bufio.NewScanner(stream.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "data: ") {
			events, last = events+1, lines.Text()
		}
	}
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"echo": string(text), "authorization": echo.Header.Get("X-Authorization"), "events": events, "last": last,
	}))
}
