package mqtt_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"image"
	"image/jpeg"
	"strings"
	"testing"

	"tidings/devices"
	"tidings/drivers/mqtt/broker"
	firmware "tidings/firmware-sim/mqtt"
)

// TestPicture reads what a camera publishes: the file itself, or base64 in JSON; and refuses what is none.
func TestPicture(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	_, sink, _ := run(t, s, local+`
[devices.porch]
[devices.porch.points.snapshot]
kind = "image"
source = "cam/porch"
[devices.porch.points.face]
kind = "image"
source = "cam/face"
path = "image.data"
max_size = "2KB"`)
	sink.WaitLink(t, "porch", true)
	var file bytes.Buffer
	if err := jpeg.Encode(&file, image.NewGray(image.Rect(0, 0, 32, 32)), nil); err != nil {
		t.Fatal(err)
	}
	read := func(topic, payload, point string) devices.Reading {
		t.Helper()
		mark := sink.Mark()
		s.say(topic, payload, false)
		return sink.WaitReadingAfter(t, mark, "porch", point, nil)
	}
	if got, ok := read("cam/porch", file.String(), "snapshot").Value.Image(); !ok || got.Data != file.String() || got.MIME != "image/jpeg" {
		t.Errorf("read: %+v, %t", got.MIME, ok)
	}
	encoded := base64.StdEncoding.EncodeToString(file.Bytes())
	for _, data := range []string{encoded, "data:image/jpeg;base64," + encoded} {
		if got, ok := read("cam/face", `{"image":{"data":"`+data+`"}}`, "face").Value.Image(); !ok || got.Data != file.String() {
			t.Errorf("of JSON: %t", ok)
		}
	}
	for _, bad := range []struct{ topic, point, payload, says string }{
		{"cam/porch", "snapshot", "offline", "no JPEG, PNG or WebP"},
		{"cam/porch", "snapshot", "<svg onload='x'/>", "no JPEG, PNG or WebP"},
		{"cam/face", "face", `{"image":{"data":"%%%"}}`, "is not base64"},
		{"cam/face", "face", `{"image":{"data":"` + strings.Repeat("A", 4000) + `"}}`, "at most 2000 bytes are taken"},
		{"cam/face", "face", `{"image":{"data":3}}`, "is not base64"},
	} {
		r := read(bad.topic, bad.payload, bad.point)
		if r.Quality != devices.Faulty || !r.Value.IsZero() {
			t.Errorf("%s was taken as %v", bad.payload, r.Value)
		}
		says(t, r.Err, bad.says)
	}
	if r := read("cam/face", `{"image":{"data":""}}`, "face"); r.Quality != devices.Unknown {
		t.Errorf("of an empty text: %+v", r)
	}
}

// TestCamera reads the simulated camera.
func TestCamera(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	do, sink, _ := run(t, s, local+`
[devices.camera]
availability = "tele/camera/LWT"
online = "Online"
offline = "Offline"
[devices.camera.points.picture]
kind = "image"
source = "tele/camera/PICTURE"
[devices.camera.points.take]
kind = "action"
command = "cmnd/camera/SNAPSHOT"`)
	camera := firmware.NewCamera(firmware.Options{Dial: s.broker.Dial})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- camera.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	sink.WaitLink(t, "camera", true)
	mark := 0
	for range 2 {
		file, ok := sink.WaitReadingAfter(t, mark, "camera", "picture", nil).Value.Image()
		size, format, err := image.DecodeConfig(strings.NewReader(file.Data))
		if !ok || err != nil || format != "jpeg" || size.Width != firmware.PictureWidth || size.Height != firmware.PictureHeight {
			t.Errorf("picture: %t, %v, %v", ok, size, err)
		}
		mark = sink.Mark()
		if _, err := do.Do(t.Context(), devices.Command{Device: "camera", Point: "take", Value: devices.Bool(true)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := do.Do(t.Context(), devices.Command{Device: "camera", Point: "picture", Value: devices.Text("x")}); err == nil {
		t.Error("a picture was set")
	}
}

// TestTooLargeAPicture: it is a fault of its point, and nobody else notices.
func TestTooLargeAPicture(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{MaxPacket: 6_000_000})
	_, sink, _ := run(t, s, local+`
[devices.porch]
[devices.porch.points.snapshot]
kind = "image"
source = "cam/porch"
max_size = "4MB"`)
	sink.WaitLink(t, "porch", true)
	for size, says := range map[int]string{3_900_000: "", 5_000_000: "5.0 MB: at most 4.0 MB are taken"} {
		mark := sink.Mark()
		s.say("cam/porch", "\xff\xd8\xff"+strings.Repeat("x", size), false)
		r := sink.WaitReadingAfter(t, mark, "porch", "snapshot", nil)
		if says == "" && r.Quality != devices.Good || says != "" && (r.Err == nil || !strings.Contains(r.Err.Error(), says)) {
			t.Errorf("%d bytes: %v %v", size, r.Quality, r.Err)
		}
	}
	if up, cause := sink.Linked("porch"); !up {
		t.Error(cause)
	}
}
