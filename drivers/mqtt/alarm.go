package mqtt

import (
	"container/heap"
	"time"
)

// Alarms are what is to be done at a time. The goroutine in Run has the one timer. An alarm cannot be taken back: it looks
// whether there is still something to do.
type alarms []alarm

type alarm struct {
	at time.Time
	do func(now time.Time)
}

// add has do called at that time, or as soon after as Run comes to it.
func (a *alarms) add(at time.Time, do func(now time.Time)) { heap.Push(a, alarm{at, do}) }

// ring does what is due and returns how long nothing is; without alarms that is an hour.
func (a *alarms) ring(now time.Time) time.Duration {
	for len(*a) > 0 && !now.Before((*a)[0].at) {
		heap.Pop(a).(alarm).do(now)
	}
	if len(*a) == 0 {
		return time.Hour
	}
	return (*a)[0].at.Sub(now)
}

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a alarms) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }

// Push is heap's.
func (a *alarms) Push(x any) { *a = append(*a, x.(alarm)) }

// Pop is heap's.
func (a *alarms) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	(*a)[last] = alarm{}
	*a = (*a)[:last]
	return x
}
