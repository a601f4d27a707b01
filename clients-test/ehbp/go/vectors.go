// Vectors of other implementations, from standard input: this one opens what they sealed, and seals the same.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// vectors reads lines of a name and a value in hexadecimal.
func vectors() {
	given := map[string][]byte{}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var name, value string
		if _, err := fmt.Sscan(lines.Text(), &name, &value); err != nil {
			fail("not a vector: " + lines.Text())
		}
		bytes, err := hex.DecodeString(value)
		must(err)
		given[name] = bytes
	}
	var checked []string
	same := func(name string, value []byte) {
		if expected, ok := given[name]; ok {
			if !bytes.Equal(value, expected) {
				fail(fmt.Sprintf("%s is %x, not %x", name, value, expected))
			}
			checked = append(checked, name)
		}
	}

	if given["requestBody"] != nil {
		public, private := x25519.DeriveKeyPair(given["ikmR"])
		key, err := public.MarshalBinary()
		must(err)
		same("keyConfig", bytes.Join([][]byte{{0, 0, 0x20}, key, {0, 4, 0, 1, 0, 2}}, nil))
		receiver, err := suite.NewReceiver(private, []byte(requestInfo))
		must(err)
		opener, err := receiver.Setup(given["enc"])
		must(err)
		same("request", plaintextOf(given["requestBody"], func(c []byte) ([]byte, error) { return opener.Open(c, nil) }))
		same("exportedSecret", opener.Export([]byte(responseLabel), 32))
	}

	derive := func() *response {
		derived, err := newResponse(given["exportedSecret"], given["enc"], given["responseNonce"])
		must(err)
		return derived
	}
	same("responseKey", derive().key)
	same("responseNonceBase", derive().base)
	if body, ok := given["responseBody"]; ok {
		same("response", plaintextOf(body, derive().open))
		again, sealer := []byte{}, derive()
		opener := derive()
		for rest := bytes.NewReader(body); ; {
			ciphertext, err := readFrame(rest)
			if err == io.EOF {
				break
			}
			must(err)
			plaintext, err := opener.open(ciphertext)
			must(err)
			again = append(again, sealer.seal(plaintext)...)
		}
		// Frames of no length are left out.
		if !bytes.HasSuffix(body, again) {
			fail("sealed again, the response is another")
		}
		checked = append(checked, "responseBody")
	}
	print(map[string]any{"checked": checked})
}

func plaintextOf(body []byte, open func([]byte) ([]byte, error)) []byte {
	plaintext := []byte{}
	for rest := bytes.NewReader(body); ; {
		ciphertext, err := readFrame(rest)
		if err == io.EOF {
			return plaintext
		}
		must(err)
		piece, err := open(ciphertext)
		must(err)
		plaintext = append(plaintext, piece...)
	}
}
