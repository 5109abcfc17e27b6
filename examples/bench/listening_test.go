package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/editlock/editlock/core/redistest"
)

// TestMessagesAreCountedHoweverTheyComeIn cuts what a connection receives into pieces of every size.
func TestMessagesAreCountedHoweverTheyComeIn(t *testing.T) {
	const wire = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$7\r\nmessage\r\n" + // its text is "message"
		">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\nx\r\n" +
		"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$1\r\nx\r\n" +
		"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n+message\r\n"
	text := strings.Repeat(wire, 3)
	for size := 1; size <= len(text); size++ {
		c := &counted{received: new(received)}
		for rest := text; rest != ""; {
			piece := rest[:min(size, len(rest))]
			c.count([]byte(piece))
			rest = rest[len(piece):]
		}
		// A text that reads like a message counts too: nobody here publishes one.
		if got := c.received.messages.Load(); got != 3*4 || c.received.bytes.Load() != int64(len(text)) {
			t.Fatalf("pieces of %d bytes: %d messages in %d bytes, want %d in %d", size, got, c.received.bytes.Load(), 3*4, len(text))
		}
	}
}

func TestWhatRedisDeliversIsCounted(t *testing.T) {
	server := redistest.Start(t)
	ctx := t.Context()
	for _, protocol := range []int{2, 3} {
		counts := new(received)
		client := server.Client(t, func(o *redis.Options) { o.Protocol, o.Dialer = protocol, counts.dial })
		channel := fmt.Sprint("changes-", protocol)
		subscription := client.Subscribe(ctx, channel)
		if _, err := subscription.Receive(ctx); err != nil {
			t.Fatal(err)
		}
		const messages = 500
		sender := server.Client(t)
		for range messages {
			if err := sender.Publish(ctx, channel, "draft-7").Err(); err != nil {
				t.Fatal(err)
			}
		}
		for range messages {
			if _, err := subscription.ReceiveMessage(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if got := counts.messages.Load(); got != messages {
			t.Errorf("RESP%d: %d messages counted, want %d", protocol, got, messages)
		}
		if err := subscription.Close(); err != nil {
			t.Error(err)
		}
	}
}
