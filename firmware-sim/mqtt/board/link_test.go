package board_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"tidings/firmware-sim/mqtt/board"
)

// talker is firmware that says many things at its start, each to be had exactly once.
type talker struct{ thing }

const words = 60

func (*talker) Start(time.Time) (out []board.Message) {
	for i := range words {
		out = append(out, board.Message{Topic: "thing/word", Payload: fmt.Sprint(i), QoS: 2, Retained: true})
	}
	return out
}

// forgetful is a broker as mosquitto is one: what comes with quality of service 2 while too much is in flight it acknowledges, and
// forgets. Where mosquitto takes 20 it takes one. About one message, the stuckth, it keeps quiet.
func forgetful(c net.Conn, stuck int, took chan<- string) {
	defer c.Close()
	out := make(chan packets.ControlPacket, 10*words)
	defer close(out)
	go func() {
		for p := range out {
			_ = p.Write(c)
		}
	}()
	flying, came := 0, 0
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		switch p := p.(type) {
		case *packets.ConnectPacket:
			out <- packets.NewControlPacket(packets.Connack)
		case *packets.SubscribePacket:
			ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
			ack.MessageID, ack.ReturnCodes = p.MessageID, make([]byte, len(p.Topics))
			out <- ack
		case *packets.PublishPacket:
			if came++; came == stuck {
				continue
			}
			if flying == 0 {
				took <- string(p.Payload)
			}
			flying++
			ack := packets.NewControlPacket(packets.Pubrec).(*packets.PubrecPacket)
			ack.MessageID = p.MessageID
			out <- ack
		case *packets.PubrelPacket:
			flying--
			ack := packets.NewControlPacket(packets.Pubcomp).(*packets.PubcompPacket)
			ack.MessageID = p.MessageID
			out <- ack
		}
	}
}

// talk has a talker speak to a broker that keeps quiet about one message of the first connection, and wants the broker to take these
// words in the end.
func talk(t *testing.T, stuck int, want []string) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		took := make(chan string, 10*words)
		ctx, cancel := context.WithCancel(t.Context())
		dial := func(context.Context) (net.Conn, error) {
			theirs, ours := net.Pipe()
			go forgetful(ours, stuck, took)
			stuck = 0
			return theirs, nil
		}
		ended := make(chan error)
		go func() { ended <- board.New(board.Options{Dial: dial, Every: time.Hour}, &talker{}).Run(ctx) }()
		time.Sleep(14 * time.Second) // it has nothing to say until an hour is over
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		close(took)
		var got []string
		for word := range took {
			got = append(got, word)
		}
		if !slices.Equal(got, want) {
			t.Errorf("of %d words the broker has %s", words, strings.Join(got, " "))
		}
	})
}

func inOrder(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// TestExactlyOnce: what is to come exactly once comes, and in order, whatever else is said at the same time.
func TestExactlyOnce(t *testing.T) { talk(t, 0, inOrder(words)) }

// TestNoAcknowledgement: a broker that does not acknowledge a message is connected to anew, and told everything.
func TestNoAcknowledgement(t *testing.T) {
	const stuck = 20
	talk(t, stuck, append(inOrder(stuck-1), inOrder(words)...))
}
