// A gRPC client in Go that trusts one TLS key, as the proxy names it: calls of all four kinds, a failure, metadata, a
// deadline and a cancellation. Arguments: host:port of the proxy, the key's SHA-256 in base64.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// raw passes messages on as they are: the server has no schema.
type raw struct{}

func (raw) Marshal(value any) ([]byte, error) { return *value.(*[]byte), nil }
func (raw) Unmarshal(data []byte, value any) error {
	*value.(*[]byte) = bytes.Clone(data)
	return nil
}
func (raw) Name() string { return "raw" }

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func run(address, pin string) error {
	connection, err := grpc.NewClient(
		address, grpc.WithTransportCredentials(credentials.NewTLS(pinned(pin))),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, test := range []struct {
		name string
		run  func(context.Context, *grpc.ClientConn) error
	}{
		{"unary", unary}, {"failure", failure}, {"down", down}, {"up", up}, {"both", both},
		{"deadline", deadline}, {"cancellation", cancellation},
	} {
		if err := test.run(ctx, connection); err != nil {
			return fmt.Errorf("%s: %w", test.name, err)
		}
	}
	return nil
}

// pinned accepts one key, in whatever certificate.
func pinned(pin string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{"h2"},
		InsecureSkipVerify: true,
		VerifyPeerCertificate: func(certificates [][]byte, _ [][]*x509.Certificate) error {
			leaf, err := x509.ParseCertificate(certificates[0])
			if err != nil {
				return err
			}
			sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
			if base64.StdEncoding.EncodeToString(sum[:]) != pin {
				return errors.New("another key")
			}
			return nil
		},
	}
}

func call(ctx context.Context, connection *grpc.ClientConn, request string, options ...grpc.CallOption) (string, error) {
	sent, received := []byte(request), []byte(nil)
	err := connection.Invoke(ctx, "/polaris.test.Echo/Unary", &sent, &received, options...)
	return string(received), err
}

func unary(ctx context.Context, connection *grpc.ClientConn) error {
	var trailer metadata.MD
	large := string(bytes.Repeat([]byte("polaris"), 400_000))
	got, err := call(metadata.AppendToOutgoingContext(ctx, "x-text", "value"), connection, large, grpc.Trailer(&trailer))
	if err != nil {
		return err
	}
	if got != large || len(trailer.Get("x-trailer")) != 1 {
		return fmt.Errorf("another answer, or no trailer: %v", trailer)
	}
	return nil
}

func failure(ctx context.Context, connection *grpc.ClientConn) error {
	_, err := call(ctx, connection, "fail:7")
	return expect(err, codes.PermissionDenied)
}

func down(ctx context.Context, connection *grpc.ClientConn) error {
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/polaris.test.Echo/Down")
	if err != nil {
		return err
	}
	request := []byte("50")
	if err := stream.SendMsg(&request); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for i := 1; i <= 50; i++ {
		if err := receive(stream, fmt.Sprint(i)); err != nil {
			return err
		}
	}
	return end(stream)
}

func up(ctx context.Context, connection *grpc.ClientConn) error {
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/polaris.test.Echo/Up")
	if err != nil {
		return err
	}
	for _, text := range []string{"one, ", "two, ", "three"} {
		message := []byte(text)
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return receive(stream, "one, two, three")
}

func both(ctx context.Context, connection *grpc.ClientConn) error {
	stream, err := open(ctx, connection)
	if err != nil {
		return err
	}
	for i := range 20 {
		message := fmt.Appendf(nil, "m%d", i)
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
		if err := receive(stream, ">"+string(message)); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return end(stream)
}

func deadline(ctx context.Context, connection *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	_, err := call(ctx, connection, "wait")
	return expect(err, codes.DeadlineExceeded)
}

func cancellation(ctx context.Context, connection *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := open(ctx, connection)
	if err != nil {
		return err
	}
	message := []byte("begun")
	if err := stream.SendMsg(&message); err != nil {
		return err
	}
	if err := receive(stream, ">begun"); err != nil {
		return err
	}
	cancel()
	return expect(stream.RecvMsg(&message), codes.Canceled)
}

func open(ctx context.Context, connection *grpc.ClientConn) (grpc.ClientStream, error) {
	return connection.NewStream(
		ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/polaris.test.Echo/Both")
}

func receive(stream grpc.ClientStream, expected string) error {
	var message []byte
	if err := stream.RecvMsg(&message); err != nil {
		return err
	}
	if string(message) != expected {
		return fmt.Errorf("%q instead of %q", message, expected)
	}
	return nil
}

func end(stream grpc.ClientStream) error {
	var message []byte
	if err := stream.RecvMsg(&message); !errors.Is(err, io.EOF) {
		return fmt.Errorf("no end, but %v", err)
	}
	return nil
}

func expect(err error, code codes.Code) error {
	if status.Code(err) != code {
		return fmt.Errorf("%v instead of %v", err, code)
	}
	return nil
}
