package core_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// managed plays a server that does not run every command as it came: rewrite gets the words of each. It returns its
// address.
func managed(t *testing.T, target string, rewrite func(words []string) []string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				server, err := new(net.Dialer).DialContext(ctx, "tcp", target)
				if err != nil {
					_ = client.Close()
					return
				}
				end := func() { _ = errors.Join(client.Close(), server.Close()) }
				stop := context.AfterFunc(ctx, end)
				defer stop()
				serving.Go(func() {
					defer end()
					_, _ = io.Copy(client, server)
				})
				defer end()
				for commands := bufio.NewReader(client); ; {
					words, err := readWords(commands)
					if err != nil {
						return
					}
					if _, err := server.Write(asCommand(rewrite(words))); err != nil {
						return
					}
				}
			})
		}
	})
	return listener.Addr().String()
}

// readWords reads a command as clients send it: an array of strings.
func readWords(r *bufio.Reader) ([]string, error) {
	length := func(mark string) (int, error) {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(line), mark))
	}
	n, err := length("*")
	if err != nil {
		return nil, err
	}
	words := make([]string, n)
	for i := range words {
		size, err := length("$")
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		words[i] = string(text[:size])
	}
	return words, nil
}

func asCommand(words []string) []byte {
	text := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, word := range words {
		text = fmt.Appendf(text, "$%d\r\n%s\r\n", len(word), word)
	}
	return text
}
