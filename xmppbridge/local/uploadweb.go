package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"sync"
	"time"
)

const (
	uploadPath = "/upload/"
	// slowest is the speed, in bytes a second, that a transfer must have on the whole, besides transferGrace.
	slowest       = 16 << 10
	transferGrace = 30 * time.Second
)

// uploadHandler answers at the door for files: PUT with a slot, GET and HEAD with the address of a file, and nothing else.
func (s *Server) uploadHandler(context.Context, *sync.WaitGroup) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT "+uploadPath+"{id}/{name}", s.putFile)
	mux.HandleFunc("GET "+uploadPath+"{id}/{name}", s.getFile)
	mux.HandleFunc("OPTIONS "+uploadPath+"{id}/{name}", preflight)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Whatever is answered, a browser must not make anything of it but what its type says.
		h := w.Header()
		anyOrigin(h)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.Set("Referrer-Policy", "no-referrer")
		mux.ServeHTTP(w, r)
	})
}

// preflight tells the browser that a page of another origin may upload.
func preflight(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, PUT, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Content-Type, Authorization")
	h.Set("Access-Control-Allow-Private-Network", "true")
	h.Set("Access-Control-Max-Age", "7200")
	w.WriteHeader(http.StatusNoContent)
}

// within gives a transfer the time it may take.
func within(set func(time.Time) error, size int64) {
	_ = set(time.Now().Add(transferGrace + time.Duration(size/slowest)*time.Second))
}

func (s *Server) putFile(w http.ResponseWriter, r *http.Request) {
	u := s.uploads
	file, ok := u.redeem(r.PathValue("id"), r.PathValue("name"), r.URL.Query().Get("put"), time.Now())
	if !ok {
		w.Header().Set("Connection", "close") // rather than read what is not wanted
		http.Error(w, "There is no such slot, or it was used.", http.StatusForbidden)
		return
	}
	defer u.done(file.ID)
	if r.ContentLength >= 0 && r.ContentLength != file.Size {
		w.Header().Set("Connection", "close")
		http.Error(w, fmt.Sprintf("The slot is for %d bytes.", file.Size), http.StatusRequestEntityTooLarge)
		return
	}
	within(http.NewResponseController(w).SetReadDeadline, file.Size)
	file.At = time.Now()
	switch err := u.files.take(file, http.MaxBytesReader(w, r.Body, file.Size)); {
	case err == nil:
		s.log.Info("file uploaded", "account", file.Account, "size", file.Size)
		w.WriteHeader(http.StatusCreated)
	case errors.Is(err, errSize), errors.As(err, new(*http.MaxBytesError)):
		http.Error(w, fmt.Sprintf("The slot is for %d bytes.", file.Size), http.StatusRequestEntityTooLarge)
	case r.Context().Err() != nil: // the client is gone
	default:
		s.log.Warn("file not kept", "account", file.Account, "err", err)
		http.Error(w, "The file was not kept.", http.StatusInsufficientStorage)
	}
}

func (s *Server) getFile(w http.ResponseWriter, r *http.Request) {
	content, file, err := s.uploads.files.open(r.PathValue("id"), r.PathValue("name"))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("file not read", "err", err)
		}
		http.NotFound(w, r)
		return
	}
	defer content.Close()
	within(http.NewResponseController(w).SetWriteDeadline, file.Size)
	h := w.Header()
	h.Set("Content-Type", file.Type)
	switch file.Type {
	case unknownType:
		h.Set("Content-Disposition", "attachment")
	case "text/plain":
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	h.Set("Cache-Control", "private, max-age=86400, immutable")
	http.ServeContent(w, r, "", file.At, content)
}
