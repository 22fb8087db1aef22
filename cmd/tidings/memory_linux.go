package main

import (
	"bufio"
	"context"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// settleIn is how long a gateway runs before what only its start needed is given back: its own, and then that of devices which have
// announced themselves.
var settleIn = [...]time.Duration{3 * time.Second, 27 * time.Second}

// giveBack returns the memory that only the start needed, a while after ready: garbage, and the pages of the program that read
// its configuration, made its tables and will not be run again. On a board of half a gigabyte the difference counts, and what is
// still needed comes back from the page cache by itself.
func giveBack(ctx context.Context, ready <-chan struct{}, log *slog.Logger) {
	select {
	case <-ctx.Done():
		return
	case <-ready:
	}
	for _, more := range settleIn {
		select {
		case <-ctx.Done():
			return
		case <-time.After(more):
		}
		debug.FreeOSMemory()
		if err := dropProgramPages(); err != nil {
			log.Debug("memory of the start not given back", "err", err)
		}
	}
}

// dropProgramPages takes the pages of the program file out of this process, those that cannot be written to: they are as the file
// has them. See madvise(2), MADV_DONTNEED.
func dropProgramPages() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		// 00400000-010c9000 r-xp 00000000 08:01 1234 /usr/bin/tidings
		f := strings.Fields(lines.Text())
		if len(f) < 6 || strings.Contains(f[1], "w") || !strings.HasSuffix(f[1], "p") || strings.Join(f[5:], " ") != program {
			continue
		}
		low, high, _ := strings.Cut(f[0], "-")
		begin, err1 := strconv.ParseUint(low, 16, strconv.IntSize)
		end, err2 := strconv.ParseUint(high, 16, strconv.IntSize)
		if err1 != nil || err2 != nil || begin >= end {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, uintptr(begin), uintptr(end-begin), unix.MADV_DONTNEED); errno != 0 {
			return errno
		}
	}
	return nil
}
