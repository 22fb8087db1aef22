package xmppbridge

import (
	"slices"
	"strconv"
	"strings"

	"tidings/xmppbridge/stream"
)

const nsFallback = "urn:xmpp:fallback:0"

// spoken is what somebody said in a message: its body without what the client put there for those who do not know some
// extension (XEP-0428), such as the words quoted above a reply (XEP-0461). Reactions and retractions have no other words.
// Ranges count code points (XEP-0426); one that makes no sense is passed over.
func spoken(st *stream.Element) string {
	body := []rune(st.Body())
	said := make([]bool, len(body))
	for i := range said {
		said[i] = true
	}
	for f := range st.Children() {
		if !f.Is(nsFallback, "fallback") {
			continue
		}
		if f.First() == nil { // all of it
			return ""
		}
		for part := range f.Children() {
			if !part.Is(nsFallback, "body") {
				continue
			}
			start, end := 0, len(body)
			if part.Attr("start") != "" || part.Attr("end") != "" {
				var errStart, errEnd error
				start, errStart = strconv.Atoi(part.Attr("start"))
				end, errEnd = strconv.Atoi(part.Attr("end"))
				if errStart != nil || errEnd != nil || start < 0 || end < start {
					continue
				}
			}
			for i := start; i < min(end, len(body)); i++ {
				said[i] = false
			}
		}
	}
	i := -1
	body = slices.DeleteFunc(body, func(rune) bool { i++; return !said[i] })
	text := strings.TrimSpace(string(body))
	for st.Child(nsReply, "reply") != nil && strings.HasPrefix(text, ">") { // quoted, and not marked as such
		_, text, _ = strings.Cut(text, "\n")
		text = strings.TrimSpace(text)
	}
	return text
}
