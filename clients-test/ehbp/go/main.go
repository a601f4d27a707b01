// A client over net/http. Commands: echo <size>…, ping-pong <rounds>, wrong-key, vectors. BASE_URL is the server's,
// EHBP_KEY the key that it has proven, in hexadecimal. Prints JSON.
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/cloudflare/circl/kem"
)

const frameSize = 8 << 10

func main() {
	switch os.Args[1] {
	case "echo":
		echo(fetchKey(), os.Args[2:])
	case "ping-pong":
		rounds, err := strconv.Atoi(os.Args[2])
		must(err)
		pingPong(fetchKey(), rounds)
	case "wrong-key":
		key, _, err := x25519.GenerateKeyPair()
		must(err)
		wrongKey(key)
	case "vectors":
		vectors()
	}
}

// echo sends bodies of these sizes, and compares while they come back.
func echo(key kem.PublicKey, sizes []string) {
	for _, text := range sizes {
		size, err := strconv.Atoi(text)
		must(err)
		body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		answer := start(key, func(send func([]byte)) {
			for rest := body; len(rest) > 0; {
				n := min(len(rest), frameSize)
				send(rest[:n])
				rest = rest[n:]
			}
		})
		var back []byte
		for piece := answer.next(); piece != nil; piece = answer.next() {
			back = append(back, piece...)
		}
		if !bytes.Equal(back, body) {
			fail(fmt.Sprintf("%d bytes came back as %d others", size, len(back)))
		}
	}
	print(map[string]any{"echoed": len(sizes)})
}

// pingPong sends each piece only when the one before has come back.
func pingPong(key kem.PublicKey, rounds int) {
	turn := make(chan []byte, 1)
	turn <- []byte("0")
	answer := start(key, func(send func([]byte)) {
		for piece := range turn {
			send(piece)
		}
	})
	for round := range rounds {
		if piece := answer.next(); string(piece) != strconv.Itoa(round) {
			fail(fmt.Sprintf("round %d brought %q", round, piece))
		}
		if round+1 < rounds {
			turn <- []byte(strconv.Itoa(round + 1))
		}
	}
	close(turn)
	if answer.next() != nil {
		fail("there was more")
	}
	print(map[string]any{"rounds": rounds})
}

func wrongKey(key kem.PublicKey) {
	sender, err := newSender(key)
	must(err)
	sealed, err := sender.seal([]byte("secret"))
	must(err)
	answer := post(sender, bytes.NewReader(sealed))
	var problem struct{ Type string }
	must(json.NewDecoder(answer.Body).Decode(&problem))
	print(map[string]any{"status": answer.StatusCode, "type": problem.Type, "media": answer.Header.Get("Content-Type")})
}

// fetchKey takes the key that the server offers, if it is the one that was proven.
func fetchKey() kem.PublicKey {
	answer, err := http.Get(os.Getenv("BASE_URL") + "/.well-known/hpke-keys")
	must(err)
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "application/ohttp-keys" {
		fail("no keys: " + answer.Status)
	}
	config, err := io.ReadAll(answer.Body)
	must(err)
	key, err := parseKey(config)
	must(err)
	if hex.EncodeToString(config[3:35]) != os.Getenv("EHBP_KEY") {
		fail("the server offers another key than it has proven")
	}
	return key
}

type answer struct {
	*response
	body io.Reader
}

// start begins a request, whose body is written while the answer is read.
func start(key kem.PublicKey, write func(send func([]byte))) *answer {
	sender, err := newSender(key)
	must(err)
	body, sink := io.Pipe()
	go func() {
		write(func(piece []byte) {
			sealed, err := sender.seal(piece)
			must(err)
			_, err = sink.Write(sealed)
			must(err)
		})
		must(sink.Close())
	}()
	raw := post(sender, body)
	nonces := raw.Header.Values("Ehbp-Response-Nonce")
	if raw.StatusCode != 200 || raw.ContentLength >= 0 || len(nonces) != 1 {
		fail("not an encrypted answer: " + raw.Status)
	}
	opener, err := sender.response(nonces[0])
	must(err)
	return &answer{opener, raw.Body}
}

func post(sender *sender, body io.Reader) *http.Response {
	// The length would be that of the ciphertext.
	request, err := http.NewRequest("POST", os.Getenv("BASE_URL")+"/echo", io.MultiReader(body))
	must(err)
	request.Header.Set("Ehbp-Encapsulated-Key", hex.EncodeToString(sender.enc))
	request.Header.Set("Content-Type", "text/plain")
	response, err := http.DefaultClient.Do(request)
	must(err)
	return response
}

// next is the plaintext of the next frame, nil behind the last one.
func (a *answer) next() []byte {
	ciphertext, err := readFrame(a.body)
	if err == io.EOF {
		return nil
	}
	must(err)
	plaintext, err := a.open(ciphertext)
	must(err)
	return plaintext
}

func print(value any) {
	must(json.NewEncoder(os.Stdout).Encode(value))
}

func must(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}
