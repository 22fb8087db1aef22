package board

import (
	"encoding/json"
	"strings"
	"time"
)

// About says what a message is about, since faults take some and leave others.
type About uint8

// What messages are about.
const (
	State        About = iota // what the device is like at the moment, or an answer
	Announcement              // what the device is
	Presence                  // whether it is there
)

// A Message is one to publish.
type Message struct {
	Topic, Payload string
	Retained       bool
	QoS            byte
	About          About
}

// Firmware is what runs on a board. Its methods are called by one goroutine at a time.
type Firmware interface {
	ID() string                                          // of the MQTT client
	Will() Message                                       // the zero Message: none
	Filters() []string                                   // what it subscribes to, with QoS 0
	Start(now time.Time) []Message                       // it has just connected
	Take(now time.Time, topic, payload string) []Message // something came
	Step(now time.Time) []Message                        // time has gone by; called again and again
	Stop() []Message                                     // it is about to disconnect in order
}

// An Announcer is firmware whose announcement may change while it runs.
type Announcer interface {
	// Rename has it be called something else, or what it was called at first.
	Rename(now time.Time, on bool) []Message
	// Vanish has it take back what it announced, or announce it again.
	Vanish(now time.Time, on bool) []Message
}

// JSON is v as a payload: the keys of maps in order, and < > & as they are.
func JSON(v any) string {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("board: " + err.Error()) // firmware makes its values itself
	}
	return strings.TrimSuffix(text.String(), "\n")
}
