// An OHTTP gateway to compare speed with: crypto/hpke and net/http of Go's library, without a module from elsewhere. It
// checks nothing: no replays, no dates, no limits; it holds requests whole, takes those of known length only, and panics
// if anything fails, upon which net/http ends the connection. Arguments: the address to listen at, the workload's URL.
package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"
)

const (
	encLength = 32
	keyLength = 16 // of the AEAD, and of a response's nonce
	tagLength = 16
	small     = 16384 // a response that is no longer is sent with one write
)

// RFC 9458 with one suite, X25519, HKDF-SHA256 and AES-128-GCM: key id, KEM, KDF, AEAD.
var header = []byte{1, 0, 0x20, 0, 1, 0, 1}
var final = []byte("final")
var private = must(hpke.DHKEM(ecdh.X25519()).GenerateKey())

// Connections are kept for all that come at once; the default is two.
var client = &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	log.Fatal(http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			config := slices.Concat(header[:3], private.PublicKey().Bytes(), []byte{0, 4}, header[3:])
			w.Header().Set("Content-Type", "application/ohttp-keys")
			w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(config))), config...))
			return
		}
		sealed := make([]byte, r.ContentLength)
		must(io.ReadFull(r.Body, sealed))
		chunked := r.Header.Get("Content-Type") == "message/ohttp-chunked-req"
		message, sealer := open(sealed, chunked)
		response := must(client.RoundTrip(readRequest(message).WithContext(r.Context())))
		defer response.Body.Close()
		if chunked {
			w.Header().Set("Content-Type", "message/ohttp-chunked-res")
			sendChunks(w, response, sealer)
		} else {
			w.Header().Set("Content-Type", "message/ohttp-res")
			must(w.Write(sealer.seal(sealer.nonce, knownLength(response), nil)))
		}
	})))
}

// sendChunks seals and sends what comes from the workload as it comes.
func sendChunks(w http.ResponseWriter, response *http.Response, sealer *sealer) {
	flush := func() {}
	if response.ContentLength < 0 || response.ContentLength > small {
		flush = w.(http.Flusher).Flush
	}
	head := append(appendFields(appendVarint([]byte{3}, response.StatusCode), response.Header), 0)
	must(w.Write(sealer.chunk(sealer.nonce, head)))
	flush()
	// Four bytes are for the length of the content in front of it.
	buffer := make([]byte, small)
	for {
		n, err := response.Body.Read(buffer[4:])
		if n > 0 {
			appendVarint(buffer[:0], n)
			must(w.Write(sealer.chunk(nil, buffer[:4+n])))
			flush()
		}
		if err == io.EOF {
			// The end of the content, and of no trailers.
			must(w.Write(sealer.seal([]byte{0}, []byte{0, 0}, final)))
			return
		}
		must(n, err)
	}
}

// open opens an encapsulated request; the sealer is for its response.
func open(request []byte, chunked bool) ([]byte, *sealer) {
	kind := "message/bhttp"
	if chunked {
		kind += " chunked"
	}
	enc, r := request[len(header):][:encLength], reader{request[len(header)+encLength:]}
	info := slices.Concat([]byte(kind+" request\x00"), request[:len(header)])
	recipient := must(hpke.NewRecipient(enc, private, hpke.HKDFSHA256(), hpke.AES128GCM(), info))
	var message, aad []byte
	for chunked && aad == nil {
		length := r.varint()
		if length == 0 {
			length, aad = len(r.bytes), final
		}
		message = append(message, must(recipient.Open(aad, r.take(length)))...)
	}
	if !chunked {
		message = must(recipient.Open(nil, r.bytes))
	}
	nonce := make([]byte, keyLength)
	rand.Read(nonce)
	secret := must(recipient.Export(kind+" response", keyLength))
	extracted := must(hkdf.Extract(sha256.New, secret, slices.Concat(enc, nonce)))
	block := must(aes.NewCipher(must(hkdf.Expand(sha256.New, extracted, "key", keyLength))))
	aead := must(cipher.NewGCM(block))
	base := must(hkdf.Expand(sha256.New, extracted, "nonce", aead.NonceSize()))
	return message, &sealer{nonce, aead, base, 0}
}

type sealer struct {
	nonce []byte // of the response, which begins with it
	aead  cipher.AEAD
	base  []byte
	count uint64
}

// seal appends what it seals to target.
func (s *sealer) seal(target, plaintext, aad []byte) []byte {
	nonce := slices.Clone(s.base)
	counter := nonce[len(nonce)-8:]
	binary.BigEndian.PutUint64(counter, binary.BigEndian.Uint64(counter)^s.count)
	s.count++
	return s.aead.Seal(slices.Grow(target, len(plaintext)+tagLength), nonce, plaintext, aad)
}

func (s *sealer) chunk(target, plaintext []byte) []byte {
	return s.seal(appendVarint(target, len(plaintext)+tagLength), plaintext, nil)
}

// As much of Binary HTTP (RFC 9292) as a gateway needs.
type reader struct{ bytes []byte }

func (r *reader) take(length int) []byte {
	taken := r.bytes[:length]
	r.bytes = r.bytes[length:]
	return taken
}

func (r *reader) varint() int {
	first := r.take(1)[0]
	value := int(first & 0x3f)
	for _, next := range r.take(1<<(first>>6) - 1) {
		value = value<<8 | int(next)
	}
	return value
}

func (r *reader) text() string { return string(r.take(r.varint())) }

// appendVarint takes four bytes for any integer, as RFC 9000, section 16, permits.
func appendVarint(target []byte, value int) []byte {
	return binary.BigEndian.AppendUint32(target, uint32(value)|1<<31)
}

func readRequest(message []byte) *http.Request {
	r := reader{append(message[1:], 0, 0)} // lengths of zero at the end may be left out
	method, _, authority, path := r.text(), r.text(), r.text(), r.text()
	fields, header := reader{r.take(r.varint())}, make(http.Header)
	for len(fields.bytes) > 0 {
		header.Add(fields.text(), fields.text())
	}
	content := r.take(r.varint())
	request := must(http.NewRequest(method, os.Args[2]+path, bytes.NewReader(content)))
	request.Host, request.Header = authority, header
	return request
}

func appendFields(target []byte, header http.Header) []byte {
	for name, values := range header {
		for _, value := range values {
			target = append(appendVarint(target, len(name)), strings.ToLower(name)...)
			target = append(appendVarint(target, len(value)), value...)
		}
	}
	return target
}

func knownLength(response *http.Response) []byte {
	content, fields := must(io.ReadAll(response.Body)), appendFields(nil, response.Header)
	message := append(appendVarint(appendVarint([]byte{1}, response.StatusCode), len(fields)), fields...)
	return append(append(appendVarint(message, len(content)), content...), 0)
}
