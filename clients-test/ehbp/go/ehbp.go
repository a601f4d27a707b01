// EHBP, the Encrypted HTTP Body Protocol, written from its description: keys, frames, and both directions of them.
package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"slices"

	"github.com/cloudflare/circl/hpke"
	"github.com/cloudflare/circl/kem"
)

const (
	requestInfo   = "ehbp request"
	responseLabel = "ehbp response"
	mostOfFrame   = 64 << 20
)

var (
	x25519 = hpke.KEM_X25519_HKDF_SHA256.Scheme()
	suite  = hpke.NewSuite(hpke.KEM_X25519_HKDF_SHA256, hpke.KDF_HKDF_SHA256, hpke.AEAD_AES256GCM)
)

// parseKey reads the one bare key configuration that a server hands out.
func parseKey(config []byte) (kem.PublicKey, error) {
	if len(config) != 41 || !bytes.Equal(config[:3], []byte{0, 0, 0x20}) || !bytes.Equal(config[35:], []byte{0, 4, 0, 1, 0, 2}) {
		return nil, errors.New("not a key configuration of EHBP")
	}
	return x25519.UnmarshalBinaryPublicKey(config[3:35])
}

// sender seals the frames of one request.
type sender struct {
	enc    []byte
	sealer hpke.Sealer
}

func newSender(key kem.PublicKey) (*sender, error) {
	setup, err := suite.NewSender(key, []byte(requestInfo))
	if err != nil {
		return nil, err
	}
	enc, sealer, err := setup.Setup(rand.Reader)
	return &sender{enc, sealer}, err
}

func (s *sender) seal(plaintext []byte) ([]byte, error) {
	ciphertext, err := s.sealer.Seal(plaintext, nil)
	return frame(ciphertext), err
}

// response is what opens the response with this nonce, given as in its header.
func (s *sender) response(nonce string) (*response, error) {
	bytes, err := hex.DecodeString(nonce)
	if err != nil || len(bytes) != 32 || hex.EncodeToString(bytes) != nonce {
		return nil, errors.New("not a response nonce: " + nonce)
	}
	return newResponse(s.sealer.Export([]byte(responseLabel), 32), s.enc, bytes)
}

// response opens, or seals, the frames of one response.
type response struct {
	key, base []byte
	aead      cipher.AEAD
	sequence  uint64
}

func newResponse(secret, enc, nonce []byte) (*response, error) {
	prk, err := hkdf.Extract(sha256.New, secret, slices.Concat(enc, nonce))
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Expand(sha256.New, prk, "key", 32)
	if err != nil {
		return nil, err
	}
	base, err := hkdf.Expand(sha256.New, prk, "nonce", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &response{key: key, base: base, aead: aead}, err
}

func (r *response) nonce() []byte {
	nonce := slices.Clone(r.base)
	tail := nonce[4:]
	binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)^r.sequence)
	r.sequence++
	return nonce
}

func (r *response) open(ciphertext []byte) ([]byte, error) {
	return r.aead.Open(nil, r.nonce(), ciphertext, nil)
}

func (r *response) seal(plaintext []byte) []byte {
	return frame(r.aead.Seal(nil, r.nonce(), plaintext, nil))
}

func frame(ciphertext []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(ciphertext))), ciphertext...)
}

// readFrame returns the next ciphertext, and io.EOF behind the last one. A length of 0 is no frame.
func readFrame(body io.Reader) ([]byte, error) {
	for {
		var length [4]byte
		if _, err := io.ReadFull(body, length[:]); err != nil {
			return nil, err
		}
		size := binary.BigEndian.Uint32(length[:])
		if size > mostOfFrame {
			return nil, errors.New("a frame is too large")
		}
		if size == 0 {
			continue
		}
		ciphertext := make([]byte, size)
		if _, err := io.ReadFull(body, ciphertext); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		return ciphertext, nil
	}
}
