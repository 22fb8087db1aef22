// Package handover gives commands to the goroutine that owns a piece of hardware, one at a time. The callers of a driver's Do wait
// at a [Desk] until that goroutine takes what they bring; nothing is queued, so that what nobody waits for any more is not done.
//
//	desk := handover.New[int]()
//	shut := desk.Open() // in the goroutine, which calls shut when it ends
//	job := <-desk.Jobs()
//	job.Answer(write(job.What))
//
//	result, err := desk.Ask(ctx, 7, errDown) // in Do
package handover
