package store

import (
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"tidings/devices"
)

// BenchmarkNote is what a reading costs whoever hands it over: the router.
func BenchmarkNote(b *testing.B) {
	h := still(b, filepath.Join(b.TempDir(), "history.db"), kept)
	const n = 1000
	ids := make([]devices.ID, n)
	for i := range ids {
		ids[i] = devices.ID(fmt.Sprint("device", i))
	}
	at := time.Now().Add(-time.Hour)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		h.Note(ids[i%n], "temperature", devices.Number(float64(200+i/n%50)/10), at.Add(time.Duration(i)*time.Millisecond))
		if h.size >= blocksSize { // what Run does beside
			b.StopTimer()
			h.save(false)
			if err := h.makeBlocks(kept); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	}
}

// BenchmarkFlush is one batch on its way to the disk: 30 seconds of readings of 100 points, every second one each.
func BenchmarkFlush(b *testing.B) {
	h := still(b, filepath.Join(b.TempDir(), "history.db"), kept)
	start := time.Now().Add(-1000 * time.Hour)
	b.ReportAllocs()
	for i := range b.N {
		b.StopTimer()
		for s := range 30 {
			for p := range 100 {
				h.Note("house", fmt.Sprint("p", p), devices.Number(float64(200+(s+p)%30)/10), start.Add(time.Duration(30*i+s)*time.Second))
			}
		}
		if h.size >= blocksSize {
			if err := h.makeBlocks(kept); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		h.save(false)
	}
	b.ReportMetric(3000, "readings/op")
}

// BenchmarkMakeBlocks is what is done about once an hour: blocks of 3,600 readings of 100 points.
func BenchmarkMakeBlocks(b *testing.B) {
	h := still(b, filepath.Join(b.TempDir(), "history.db"), kept)
	start := time.Now().Add(-80 * 24 * time.Hour)
	for i := range b.N {
		b.StopTimer()
		for s := range 3600 {
			for p := range 100 {
				h.Note("house", fmt.Sprint("p", p), devices.Number(float64(200+(s+p)%30)/10), start.Add(time.Duration(3600*(i%1000)+s)*time.Second))
			}
		}
		size := h.size
		b.StartTimer()
		if err := h.makeBlocks(kept); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(size)/360000, "bytes/reading")
	}
}

// BenchmarkSpans is what a chart of 24 hours asks for: 800 spans of 86,400 readings, and how much memory that takes at most.
func BenchmarkSpans(b *testing.B) {
	h := still(b, filepath.Join(b.TempDir(), "history.db"), kept)
	start := time.Now().Add(-24 * time.Hour)
	for i := range 86400 {
		h.Note("greenhouse", "temperature", devices.Number(math.Round(200+100*math.Sin(float64(i)/8000)+float64(i*7919%7))/10), start.Add(time.Duration(i)*time.Second))
		if i%3600 == 3599 {
			if err := h.makeBlocks(kept); err != nil {
				b.Fatal(err)
			}
		}
	}
	var peak atomic.Uint64
	before := heapNow()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		spans, err := h.Spans(b.Context(), "greenhouse", "temperature", start, start.Add(24*time.Hour), 800)
		if err != nil || len(spans) != 800 || spans[400].Count < 100 {
			b.Fatal(len(spans), err)
		}
		if i < 10 {
			peak.Store(max(peak.Load(), heapNow()))
		}
	}
	b.ReportMetric(float64(max(peak.Load(), before)-before)/(1<<20), "heap-MB")
}

func heapNow() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkRecords is one page of a program's readout from the middle of 24 hours.
func BenchmarkRecords(b *testing.B) {
	h := still(b, filepath.Join(b.TempDir(), "history.db"), kept)
	start := time.Now().Add(-24 * time.Hour)
	for i := range 86400 {
		h.Note("greenhouse", "temperature", devices.Number(float64(200+i%50)/10), start.Add(time.Duration(i)*time.Second))
		if i%3600 == 3599 {
			if err := h.makeBlocks(kept); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if list, err := h.Records(b.Context(), "greenhouse", "temperature", start.Add(12*time.Hour), start.Add(24*time.Hour), 400); err != nil || len(list) != 400 {
			b.Fatal(len(list), err)
		}
	}
}
