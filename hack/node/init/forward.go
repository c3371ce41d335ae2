//go:build linux

package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"
)

// forward takes connections from a listener of the machine, which it got as descriptor 3, to an address in the network that it runs in.
// A listener belongs to the network it was made in, so nothing of the machine's network has to be changed.
func forward(target string) error {
	file := os.NewFile(3, "listener")
	listener, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("taking the listener: %w", err)
	}
	_ = file.Close() // the listener has its own descriptor
	for {
		from, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer from.Close() //nolint:errcheck // nobody to tell
			to, err := net.DialTimeout("tcp", target, 10*time.Second)
			if err != nil {
				log.Print(err)
				return
			}
			defer to.Close() //nolint:errcheck // nobody to tell
			done := make(chan struct{}, 2)
			for _, pair := range [][2]*net.TCPConn{{from.(*net.TCPConn), to.(*net.TCPConn)}, {to.(*net.TCPConn), from.(*net.TCPConn)}} {
				go func() {
					_, _ = io.Copy(pair[1], pair[0])
					_ = pair[1].CloseWrite()
					done <- struct{}{}
				}()
			}
			<-done
			<-done
		}()
	}
}
