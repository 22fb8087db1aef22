package xmppbridge

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

const porch = "porch@things.example.org/porch"

// snapshot is a picture as a camera publishes it.
func snapshot(t *testing.T) devices.Value {
	t.Helper()
	var file bytes.Buffer
	if err := jpeg.Encode(&file, image.NewGray(image.Rect(0, 0, 64, 48)), nil); err != nil {
		t.Fatal(err)
	}
	v, err := devices.Image(file.String(), devices.MaxImage)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// camera puts one into the house, with some pictures.
func (f *fixture) camera(names ...string) {
	info := devices.Info{ID: "porch", Name: "Porch", Driver: "line"}
	for _, name := range names {
		info.Points = append(info.Points, devices.Point{Name: name, Kind: devices.KindImage, Readable: true})
	}
	f.house.step(mapping.Change{Announce: &info})
	f.house.link("porch", nil)
}

func TestPhotoInChat(t *testing.T) {
	u := &testUploader{}
	bubble(t, withPictures(&testHistory{}, u), func(f *fixture) {
		f.camera("snapshot")
		if got := f.answer(chatTo(porch, "photo")).ChildText(stream.NS, "body"); !strings.Contains(got, "There is no picture of Porch: no reading yet") {
			t.Error(got)
		}
		f.house.read("porch", "snapshot", snapshot(t))
		for _, said := range [][2]string{{porch, "photo"}, {porch, "Picture please!"}, {porch, "photo snapshot"}, {hub, "photo porch"}, {hub, "porch photo"},
			{hub, "photo of the porch"}, {hub, "photo"}} {
			if address := pictureIn(t, f.answer(chatTo(said[0], said[1]))); !strings.HasPrefix(address, "https://upload.example.org/porch-snapshot-") || !strings.HasSuffix(address, ".jpg") {
				t.Errorf("%q: %s", said, address)
			}
		}
		if file, _ := snapshot(t).Image(); string(u.last) != file.Data || !strings.HasSuffix(u.files[0], " image/jpeg") {
			t.Errorf("uploaded: %q", u.files[0])
		}
		if got := f.answer(chatTo(porch, "status")).ChildText(stream.NS, "body"); !strings.Contains(got, "Snapshot: picture (JPEG, ") {
			t.Errorf("status: %q", got)
		}
		if got := f.answer(chatTo(porch, "phto")).ChildText(stream.NS, "body"); !strings.Contains(got, `did you mean "photo"?`) {
			t.Error(got)
		}
		if got := f.answer(chatTo(lamp, "photo")).ChildText(stream.NS, "body"); !strings.Contains(got, "did not understand") {
			t.Error(got)
		}

		time.Sleep(2 * time.Hour)
		f.deliver(chatTo(porch, "photo"))
		sent := slices.DeleteFunc(f.sent(), func(st *stream.Element) bool { return st.Name != "message" })
		if len(sent) != 2 || !strings.Contains(sent[0].ChildText(stream.NS, "body"), "2 h ago") {
			t.Fatalf("an old picture: %v", sent)
		}
		pictureIn(t, sent[1])

		u.err = errors.New("the server is full")
		if got := f.answer(chatTo(porch, "photo")).ChildText(stream.NS, "body"); !strings.Contains(got, "cannot be sent: the server is full") {
			t.Error(got)
		}
	})
}

func TestPhotoOfSeveral(t *testing.T) {
	bubble(t, withPictures(nil, &testUploader{}), func(f *fixture) {
		f.camera("front", "back_door")
		f.house.read("porch", "front", snapshot(t))
		f.house.read("porch", "back_door", snapshot(t))
		for said, want := range map[string]string{"photo": "front", "photo back door": "back_door", "picture of nothing": "", "photo frnt": ""} {
			got := f.answer(chatTo(porch, said)).ChildText(stream.NS, "body")
			if want != "" && !strings.Contains(got, "/porch-"+want+"-") || want == "" && !strings.Contains(got, "Porch has no picture") {
				t.Errorf("%q: %q", said, got)
			}
		}
		f.answer("<iq type='set' id='p0' from='" + vera + "' to='" + porch + "'><command xmlns='" + nsCommands + "' node='porch/status'/></iq>")
		f.deliver("<iq type='set' id='p1' from='" + vera + "' to='" + porch + "'><command xmlns='" + nsCommands + "' node='porch/photo/back_door'/></iq>")
		if sent := f.sent(); len(sent) != 2 || !strings.Contains(pictureIn(t, sent[0]), "/porch-back_door-") {
			t.Errorf("sent: %v", sent)
		}
	})
}

func TestPhotoCommand(t *testing.T) {
	u := &testUploader{}
	bubble(t, withPictures(nil, u), func(f *fixture) {
		f.camera("snapshot")
		run := func(id string) []*stream.Element {
			f.sent()
			f.deliver("<iq type='set' id='" + id + "' from='" + vera + "' to='" + porch + "'><command xmlns='" + nsCommands + "' node='porch/photo'/></iq>")
			return f.sent()
		}
		if sent := run("p1"); len(sent) != 1 || !strings.Contains(sent[0].First().ChildText(nsCommands, "note"), "no picture of Porch") {
			t.Errorf("without one: %v", sent)
		}
		f.house.read("porch", "snapshot", snapshot(t))
		sent := run("p2")
		if len(sent) != 2 || sent[0].Attr("to") != vera {
			t.Fatalf("sent: %v", sent)
		}
		address := pictureIn(t, sent[0])
		media := sent[1].First().Child(nsForm, "x").Child(nsForm, "field").Child(nsMedia, "media")
		if note := sent[1].First().Child(nsCommands, "note"); note.Attr("type") != "info" || !strings.HasSuffix(note.Content(), address) ||
			media.Attr("width") != "64" || media.Attr("height") != "48" {
			t.Errorf("the outcome is %v", sent[1])
		}
		f.house.step(mapping.Change{Readings: []devices.Reading{{Device: "porch", Point: "snapshot", Quality: devices.Faulty, At: time.Now(), Err: errors.New("what came is no JPEG")}}})
		if sent := run("p3"); len(sent) != 1 || !strings.Contains(sent[0].First().ChildText(nsCommands, "note"), "fault: what came is no JPEG") {
			t.Errorf("after a fault: %v", sent)
		}
	})
}

// TestPhotoLosesSight: a picture that is being sent does not reach who may not see the device any more.
func TestPhotoLosesSight(t *testing.T) {
	u := &testUploader{}
	bubble(t, withPictures(nil, u), func(f *fixture) {
		f.camera("snapshot")
		f.house.read("porch", "snapshot", snapshot(t))
		f.sent()
		u.wait = make(chan struct{})
		f.deliver(strings.Replace(chatTo(porch, "photo"), alice, vera, 1))
		f.deliver("<iq type='set' id='p1' from='" + vera + "' to='" + porch + "'><command xmlns='" + nsCommands + "' node='porch/photo'/></iq>")
		f.Configure("House", readHouse(t, strings.Replace(houseFile, `"vera@example.org" = "viewer"`,
			`"vera@example.org" = { role = "viewer", devices = ["lamp"] }`, 1)).Access)
		f.sent()
		close(u.wait)
		for _, st := range f.sent() {
			if text := st.String(); strings.Contains(text, "upload.example.org") {
				t.Errorf("vera got %s", text)
			}
		}
	})
}

// TestPicturesAreNoValues: programs, presence and the history have nothing of them.
func TestPicturesAreNoValues(t *testing.T) {
	bubble(t, withPictures(&testHistory{}, nil), func(f *fixture) {
		f.camera("snapshot")
		f.house.read("porch", "snapshot", snapshot(t))
		answer := f.answer("<iq type='get' id='r1' from='" + vera + "' to='" + porch + "'><req xmlns='urn:nf:iot:sd:1.0' id='R1' all='true'/></iq>")
		if text := answer.String(); strings.Contains(text, "snapshot") {
			t.Errorf("a program reads %s", text)
		}
		answer = f.answer("<iq type='get' id='r2' from='" + vera + "' to='" + porch + "'><req xmlns='urn:nf:iot:sd:1.0' id='R2' m='true'><f n='snapshot'/></req></iq>")
		if answer.Attr("type") != "error" {
			t.Errorf("a program reads %v", answer)
		}
		d, _, _ := f.house.Device("porch")
		if len(d.Primary) != 0 || d.Points[0].History {
			t.Errorf("%+v", d)
		}
		if got := f.answer(chatTo(porch, "chart")).ChildText(stream.NS, "body"); !strings.Contains(got, "nothing that can be drawn") {
			t.Error(got)
		}
	})
}
