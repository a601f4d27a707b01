// A WebSocket client in Go: messages of both kinds, a large one, a ping, and a close, each of which has to come back.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/coder/websocket"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func run(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	connection, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		return err
	}
	defer connection.CloseNow()
	connection.SetReadLimit(4 << 20)
	for _, message := range []struct {
		kind    websocket.MessageType
		content []byte
	}{
		{websocket.MessageText, []byte("κόσμε")},
		{websocket.MessageBinary, bytes.Repeat([]byte{1, 2, 3}, 1<<20)},
	} {
		if err := connection.Write(ctx, message.kind, message.content); err != nil {
			return err
		}
		kind, content, err := connection.Read(ctx)
		if err != nil {
			return err
		}
		if kind != message.kind || !bytes.Equal(content, message.content) {
			return fmt.Errorf("another message came back")
		}
	}
	return connection.Close(websocket.StatusNormalClosure, "enough")
}
