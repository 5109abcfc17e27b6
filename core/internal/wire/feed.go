package wire

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Feed is a subscription: a connection of its own to one server. Close ends it.
type Feed struct {
	pubsub  *redis.PubSub
	sharded bool
}

// Feed returns a subscription without a channel yet. On a server of a cluster it is sharded (Redis 7 and later): the
// server has the channels whose names have its slots, and no other server carries them. The one of the zero Server is
// plain. Nothing is sent before the first channel is added.
func (w *Wire) Feed(ctx context.Context, server Server) *Feed {
	if server.master != nil {
		return &Feed{server.master.SSubscribe(ctx), true}
	}
	return &Feed{w.client.Subscribe(ctx), false}
}

// Add subscribes to channels. Receive returns a confirmation for each.
func (f *Feed) Add(ctx context.Context, channels []string) error {
	if !f.sharded {
		return f.pubsub.Subscribe(ctx, channels...)
	}
	for _, channel := range channels { // those of one command must have one slot
		if err := f.pubsub.SSubscribe(ctx, channel); err != nil {
			return err
		}
	}
	return nil
}

// Remove ends the subscription to channels. Receive returns a confirmation for each.
func (f *Feed) Remove(ctx context.Context, channels []string) error {
	if !f.sharded {
		return f.pubsub.Unsubscribe(ctx, channels...)
	}
	for _, channel := range channels {
		if err := f.pubsub.SUnsubscribe(ctx, channel); err != nil {
			return err
		}
	}
	return nil
}

// Receive returns the next confirmation (*redis.Subscription), message (*redis.Message) or refusal.
func (f *Feed) Receive(ctx context.Context) (any, error) { return f.pubsub.Receive(ctx) }

// Close ends the connection, and with it a Receive. While go-redis connects, it blocks.
func (f *Feed) Close() error { return f.pubsub.Close() }

// Publish returns a call that publishes a message for feeds of the same kind.
func (f *Feed) Publish(channel, message string) *Call { return publish(f.sharded, channel, message) }

func publish(sharded bool, channel, message string) *Call {
	command := "publish"
	if sharded {
		command = "spublish"
	}
	return &Call{key: channel, args: []any{command, channel, message}, repeatable: true}
}

// Publish publishes a message for all feeds, as a script does that may.
func (w *Wire) Publish(ctx context.Context, deadline time.Time, channel, message string) error {
	call := publish(w.cluster != nil, channel, message)
	err := w.Do(ctx, deadline, call)
	if err == nil && w.cluster != nil && IsUnknownCommand(call.Err) {
		call = publish(false, channel, message)
		err = w.Do(ctx, deadline, call)
	}
	if err != nil {
		return err
	}
	return call.Err
}

// PublishCommand returns the command by which a script publishes for all feeds.
func (w *Wire) PublishCommand() string {
	if w.cluster != nil {
		return "SPUBLISH"
	}
	return "PUBLISH"
}

// IsUnknownCommand reports whether a server does not have the command, such as one of the sharded kind before Redis 7.
func IsUnknownCommand(err error) bool {
	return err != nil && strings.HasPrefix(strings.ToLower(strings.TrimPrefix(err.Error(), "ERR ")), "unknown command")
}
