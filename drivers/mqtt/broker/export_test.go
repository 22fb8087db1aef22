package broker

import "time"

// Hurry has the broker flush retained messages this often, and those who guess passwords wait hardly at all.
func (b *Broker) Hurry(flush time.Duration) { b.flushEvery, b.guessDelay = flush, time.Millisecond }

// SetLoginTime is what a stranger has for its CONNECT.
func (b *Broker) SetLoginTime(d time.Duration) { b.loginTime = d }
