package xmppbridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidings/devices"
	"tidings/xmppbridge/chart"
	"tidings/xmppbridge/stream"
)

// A testHistory holds readings of the oven's target, one a minute for as long as it is asked for, but for an hour.
type testHistory struct {
	mu    sync.Mutex
	asked []string
	err   error
	empty bool
}

func (h *testHistory) Records(context.Context, devices.ID, string, time.Time, time.Time, int) ([]Record, error) {
	return nil, nil
}

func (h *testHistory) Spans(_ context.Context, id devices.ID, point string, from, to time.Time, n int) ([]Span, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, fmt.Sprint(id, " ", point, " ", to.Sub(from)))
	out := make([]Span, n)
	width := to.Sub(from) / time.Duration(n)
	for i := range out {
		out[i] = Span{Start: from.Add(width * time.Duration(i))}
		if !h.empty && (i < n/3 || i > n/2) {
			v := 180 + 20*math.Sin(float64(i)/30)
			v = math.Round(v*10) / 10
			out[i].Count, out[i].Min, out[i].Mean, out[i].Max, out[i].Last, out[i].Known = 4, v-1, v, v+1, v, width
		}
	}
	return out, h.err
}

// spans are what it was asked since the last call.
func (h *testHistory) spans() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.asked
	h.asked = nil
	return out
}

// A testUploader takes files.
type testUploader struct {
	mu    sync.Mutex
	files []string // "name mime"
	last  []byte
	err   error
	wait  chan struct{} // closed: go on; nil: at once
}

func (u *testUploader) Upload(ctx context.Context, name, mime string, data []byte) (string, error) {
	if u.wait != nil {
		select {
		case <-u.wait:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.files, u.last = append(u.files, name+" "+mime), data
	return "https://upload.example.org/" + name, u.err
}

func withPictures(h *testHistory, u *testUploader) setup {
	return setup{more: func(o *Options) {
		if o.Zone = time.UTC; h != nil {
			o.History = h
		}
		if u != nil {
			o.Uploader = u
		}
	}}
}

func chatTo(to, body string) string {
	return "<message type='chat' id='m-" + fmt.Sprint(len(body)) + "' from='" + alice + "' to='" + to + "'><body>" + body + "</body></message>"
}

// pictureIn is the address of a message's picture: of one that clients show.
func pictureIn(t *testing.T, st *stream.Element) string {
	t.Helper()
	body := st.ChildText(stream.NS, "body")
	if st.Name != "message" || body == "" || st.Child(nsOOB, "x").ChildText(nsOOB, "url") != body {
		t.Fatalf("no picture: %v", st)
	}
	return body
}

func TestChartInChat(t *testing.T) {
	h, u := &testHistory{}, &testUploader{}
	bubble(t, withPictures(h, u), func(f *fixture) {
		for _, test := range []struct{ to, said, asked string }{
			{oven, "chart", "oven target 24h0m0s"},
			{oven, "Chart 24h", "oven target 24h0m0s"},
			{oven, "chart target 7d", "oven target 168h0m0s"},
			{oven, "chart the Target for the last 30 minutes please", "oven target 30m0s"},
			{oven, "graph heat week?", "oven heat 168h0m0s"},
			{oven, "plot 1,5 h target", "oven target 1h30m0s"},
			{hub, "oven chart 6h", "oven target 6h0m0s"},
			{hub, "chart oven heat 2 days", "oven heat 48h0m0s"},
			{hub, "chart target oven", "oven target 24h0m0s"},
			{hub, "chart target 1h", "oven target 1h0m0s"},
			{hub, "chart power month dark", "lamp power 720h0m0s"},
		} {
			answer := f.answer(chatTo(test.to, test.said))
			if address := pictureIn(t, answer); !strings.HasPrefix(address, "https://upload.example.org/") {
				t.Errorf("%q: the picture is at %s", test.said, address)
			}
			if from := answer.Attr("from"); from != test.to || answer.Attr("to") != alice || answer.Attr("type") != "chat" {
				t.Errorf("%q is answered by %v", test.said, answer)
			}
			if got := h.spans(); !slices.Equal(got, []string{test.asked}) {
				t.Errorf("%q draws %q, want %q", test.said, got, test.asked)
			}
			img, err := png.Decode(bytes.NewReader(u.last))
			if err != nil || img.Bounds().Dx() != chart.Width || img.Bounds().Dy() != chart.Height {
				t.Errorf("%q: the picture: %v %v", test.said, img, err)
			}
		}
		if name := u.files[0]; !strings.HasPrefix(name, "oven-target-") || !strings.HasSuffix(name, ".png image/png") {
			t.Errorf("the file is called %q", name)
		}
	})
}

func TestChartNotUnderstood(t *testing.T) {
	h, u := &testHistory{}, &testUploader{}
	bubble(t, withPictures(h, u), func(f *fixture) {
		for said, want := range map[string]string{
			"chart targett":               `did you mean "target"?`,
			"chrat target 24h":            `did you mean "chart target 24h"?`,
			"chart mode":                  "that can be drawn; there is: target, heat",
			"chart 1s":                    `no "1s" that can be drawn`,
			"chart 20 seconds":            "",
			"chart 500d":                  "between 1 min and 400 d",
			"chart 0h":                    "between 1 min and 400 d",
			"chart 1h 2h":                 "one length of time",
			"chart 99999999999999999999d": "between",
		} {
			if got := f.answer(chatTo(oven, said)).ChildText(stream.NS, "body"); !strings.Contains(got, want) {
				t.Errorf("%q is answered by %q, want %q", said, got, want)
			}
		}
		if got := f.answer(chatTo(hub, "chart 24h")).ChildText(stream.NS, "body"); !strings.Contains(got, "Of which device?") {
			t.Error(got)
		}
		if got := f.answer(chatTo(hub, "chart nothing 24h")).ChildText(stream.NS, "body"); !strings.Contains(got, "did not understand") {
			t.Error(got)
		}
		if len(u.files) > 0 || len(h.spans()) > 0 {
			t.Errorf("something was drawn: %q", u.files)
		}
	})
}

// TestChartInWords: without a picture the same data comes as a table, with the reason.
func TestChartInWords(t *testing.T) {
	for name, test := range map[string]struct {
		uploader *testUploader
		why      string
	}{
		"no service": {nil, "has no upload service"},
		"refused":    {&testUploader{err: errors.New("upload: it refuses us: on Prosody add us to http_file_share_access")}, "http_file_share_access"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, withPictures(&testHistory{}, test.uploader), func(f *fixture) {
				got := f.answer(chatTo(oven, "chart 24h")).ChildText(stream.NS, "body")
				lines := strings.Split(got, "\n")
				if !strings.HasPrefix(got, "No picture: ") || !strings.Contains(lines[0], test.why) || len(lines) != 6 {
					t.Fatalf("the answer is %q", got)
				}
				for _, want := range []string{"Min: 159 °C", "Mean: 184.96 °C", "Max: 201 °C", "Last: 160.9 °C"} {
					if !strings.Contains(got, want) {
						t.Errorf("no %q in %q", want, got)
					}
				}
			})
		})
	}
}

func TestChartOfNothing(t *testing.T) {
	h, u := &testHistory{empty: true}, &testUploader{}
	bubble(t, withPictures(h, u), func(f *fixture) {
		if got := f.answer(chatTo(oven, "chart 1h")).ChildText(stream.NS, "body"); !strings.Contains(got, "There is no reading of Oven: target in the last 1 h") {
			t.Error(got)
		}
		h.err = errors.New("history: the disk is gone")
		if got := f.answer(chatTo(oven, "chart 1h")).ChildText(stream.NS, "body"); !strings.Contains(got, "the disk is gone") {
			t.Error(got)
		}
	})
	t.Run("without a history", func(t *testing.T) {
		bubble(t, setup{}, func(f *fixture) {
			if got := f.answer(chatTo(oven, "chart 1h")).ChildText(stream.NS, "body"); !strings.Contains(got, "[history]") {
				t.Error(got)
			}
		})
	})
}

// TestChartStates: whoever knows chat states sees that it is being worked on.
func TestChartStates(t *testing.T) {
	bubble(t, withPictures(&testHistory{}, &testUploader{}), func(f *fixture) {
		f.deliver("<message type='chat' id='s1' from='" + alice + "' to='" + oven + "'><body>chart</body><active xmlns='" + nsChatStates + "'/><thread>t1</thread></message>")
		sent := f.sent()
		if len(sent) != 2 || sent[0].Child(nsChatStates, "composing") == nil || sent[1].Child(nsChatStates, "active") == nil ||
			sent[1].ChildText(stream.NS, "thread") != "t1" {
			t.Fatalf("sent: %v", sent)
		}
		pictureIn(t, sent[1])
	})
}

// TestChartsWait: one is made at a time, few wait, the others are told so at once; who asks for something else does not wait.
func TestChartsWait(t *testing.T) {
	u := &testUploader{}
	bubble(t, withPictures(&testHistory{}, u), func(f *fixture) {
		u.wait = make(chan struct{})
		const many = maxPicturesWaiting + 3
		for i := range many {
			f.deliver(fmt.Sprintf("<message type='chat' id='q%d' from='alice@example.org/%d' to='%s'><body>chart</body></message>", i, i, oven))
		}
		refused := f.sent()
		if len(refused) != 2 { // one is being made
			t.Fatalf("%d were refused: %v", len(refused), refused)
		}
		for _, st := range refused {
			if body := st.ChildText(stream.NS, "body"); !strings.Contains(body, "Other pictures are being made") {
				t.Errorf("refused with %q", body)
			}
		}
		if body := f.answer(chatTo(lamp, "status")).ChildText(stream.NS, "body"); !strings.Contains(body, "Lamp") {
			t.Errorf("status meanwhile: %q", body)
		}
		close(u.wait)
		if sent := f.sent(); len(sent) != many-2 {
			t.Errorf("%d pictures came", len(sent))
		}
	})
}

func TestChartCommand(t *testing.T) {
	h, u := &testHistory{}, &testUploader{}
	bubble(t, withPictures(h, u), func(f *fixture) {
		list := f.answer("<iq type='get' id='l' from='" + vera + "' to='" + oven + "'><query xmlns='" + nsDiscoItems + "' node='" + nsCommands + "'/></iq>")
		var names []string
		for item := range list.First().Children() {
			names = append(names, item.Attr("name"))
		}
		if !slices.Equal(names[:2], []string{"Status", "Chart…"}) {
			t.Errorf("commands of a viewer: %q", names)
		}
		form := f.answer("<iq type='set' id='c1' from='" + vera + "' to='" + oven + "'><command xmlns='" + nsCommands + "' node='oven/chart' action='execute'/></iq>")
		session := form.First().Attr("sessionid")
		fill := func(id, fields string) *stream.Element {
			f.sent()
			f.deliver("<iq type='set' id='" + id + "' from='" + vera + "' to='" + oven + "'><command xmlns='" + nsCommands + "' node='oven/chart' sessionid='" +
				session + "' action='complete'><x xmlns='jabber:x:data' type='submit'>" + fields + "</x></command></iq>")
			sent := f.sent()
			if len(sent) == 2 {
				pictureIn(t, sent[0])
				if sent[0].Attr("to") != vera || sent[0].Attr("from") != oven || sent[0].Attr("type") != "chat" {
					t.Errorf("the picture comes as %v", sent[0])
				}
				return sent[1]
			}
			return sent[0]
		}
		field := func(name, value string) string {
			return "<field var='" + name + "'><value>" + value + "</value></field>"
		}
		for _, bad := range []string{field("point", "mode"), field("point", "target") + field("span", "soon"),
			field("point", "target") + field("span", "900d"), field("point", "target") + field("span", "1h target"), field("look", "pink"), field("point", "")} {
			if answer := fill("bad", bad); answer.Attr("type") != "error" || answer.Child(stream.NS, "error").Child(nsCommands, "bad-payload") == nil {
				t.Errorf("%s is answered by %v", bad, answer)
			}
		}
		done := fill("c2", field("point", "heat")+field("span", "7d")+field("look", "dark"))
		note, media := done.First().Child(nsCommands, "note"), done.First().Child(nsForm, "x").Child(nsForm, "field").Child(nsMedia, "media")
		if note.Attr("type") != "info" || !strings.Contains(note.Content(), "https://upload.example.org/oven-heat-") ||
			media.Attr("width") != "800" || media.Child(nsMedia, "uri").Attr("type") != "image/png" {
			t.Errorf("the outcome is %v", done)
		}
		if got := h.spans(); !slices.Equal(got, []string{"oven heat 168h0m0s"}) {
			t.Errorf("drawn: %q", got)
		}
	})
}

func TestChartCommandInWords(t *testing.T) {
	bubble(t, withPictures(&testHistory{}, nil), func(f *fixture) {
		form := f.answer("<iq type='set' id='c1' from='" + vera + "' to='" + oven + "'><command xmlns='" + nsCommands + "' node='oven/chart'/></iq>")
		done := f.answer("<iq type='set' id='c2' from='" + vera + "' to='" + oven + "'><command xmlns='" + nsCommands + "' node='oven/chart' sessionid='" +
			form.First().Attr("sessionid") + "'><x xmlns='jabber:x:data' type='submit'/></command></iq>")
		note, x := done.First().Child(nsCommands, "note"), done.First().Child(nsForm, "x")
		if note.Attr("type") != "warn" || !strings.Contains(note.Content(), "no upload service") || !strings.Contains(note.Content(), "mean") ||
			x.Child(nsForm, "reported") == nil || x.Child(nsForm, "item") == nil {
			t.Errorf("the outcome is %v", done)
		}
	})
}

// TestChartHidden: who may not see a device gets nothing of it drawn.
func TestChartHidden(t *testing.T) {
	h := &testHistory{}
	bubble(t, withPictures(h, &testUploader{}), func(f *fixture) {
		for _, said := range []string{"chart oven", "oven chart", "chart target 24h"} {
			st := strings.Replace(chatTo(hub, said), alice, wim, 1)
			if got := f.answer(st).ChildText(stream.NS, "body"); strings.Contains(strings.ToLower(got), "oven:") || strings.Contains(got, "https") {
				t.Errorf("%q is answered by %q", said, got)
			}
		}
		f.silence(strings.Replace(chatTo(hub, "chart oven"), alice, mallory, 1))
		if got := h.spans(); len(got) > 0 {
			t.Errorf("asked: %q", got)
		}
	})
}

// TestChartLosesSight: who may not see a device any more gets nothing of what they began to ask, nor of what is being drawn.
func TestChartLosesSight(t *testing.T) {
	const command = "<iq type='set' id='c' from='" + wim + "' to='" + hub + "'><command xmlns='" + nsCommands + "' node='lamp/chart'"
	for name, test := range map[string]func(f *fixture, wait chan struct{}, blind func()) *stream.Element{
		"a form open": func(f *fixture, _ chan struct{}, blind func()) *stream.Element {
			form := f.answer(command + "/></iq>")
			blind()
			return f.answer(command + " sessionid='" + form.First().Attr("sessionid") + "'><x xmlns='jabber:x:data' type='submit'/></command></iq>")
		},
		"a picture being made for a command": func(f *fixture, wait chan struct{}, blind func()) *stream.Element {
			form := f.answer(command + "/></iq>")
			f.deliver(command + " sessionid='" + form.First().Attr("sessionid") + "'><x xmlns='jabber:x:data' type='submit'/></command></iq>")
			blind()
			close(wait)
			return f.sent()[0]
		},
		"a picture being made for a chat": func(f *fixture, wait chan struct{}, blind func()) *stream.Element {
			f.deliver(strings.Replace(chatTo(lamp, "chart"), alice, wim, 1))
			blind()
			close(wait)
			if sent := f.sent(); len(sent) > 0 {
				return sent[0]
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := &testUploader{}
			bubble(t, withPictures(&testHistory{}, u), func(f *fixture) {
				u.wait = make(chan struct{})
				if name == "a form open" {
					close(u.wait)
				}
				answer := test(f, u.wait, func() {
					f.sent()
					f.Configure("House", readHouse(t, strings.Replace(houseFile, `["lamp"]`, `["oven"]`, 1)).Access)
					f.sent()
				})
				if answer != nil && answer.Attr("type") != "error" {
					t.Errorf("wim, who may not see the lamp, got %v", answer)
				}
			})
		})
	}
}
