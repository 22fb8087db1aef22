package xmppbridge

import (
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // the size of a picture, for clients that lay it out before they have it
	_ "image/png"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/mapping"
)

const photoNode = "photo"

// oldPhoto is how old a picture may be before its age is told with it.
const oldPhoto = 2 * time.Minute

// photoWords are what people say for a picture.
var photoWords = []string{"photo", "picture", "snapshot", "image"}

// isPhoto reports whether words begin with one for a picture.
func isPhoto(words []string) bool {
	return len(words) > 0 && slices.Contains(photoWords, strings.ToLower(words[0]))
}

// photoPoints are the pictures of a device.
func photoPoints(d *mapping.Device) []*mapping.Point {
	var out []*mapping.Point
	for i := range d.Points {
		if p := &d.Points[i]; p.Kind == devices.KindImage && p.Readable {
			out = append(out, p)
		}
	}
	return out
}

// A photo is the latest picture of a point.
type photo struct {
	device *mapping.Device
	point  *mapping.Point
	file   devices.ImageFile
	at     time.Time
}

// photoOf takes the latest picture of a device's point. The error is a sentence.
func (b *Bridge) photoOf(d *mapping.Device, p *mapping.Point) (*photo, error) {
	state, _ := b.present(d.ID, p)
	file, ok := state.Value.Image()
	if !ok {
		return nil, fmt.Errorf("there is no picture of %s: %s", d.Name, p.FormatState(state))
	}
	return &photo{d, p, file, state.At}, nil
}

// title is what the picture is, and of when: "Porch: snapshot, 14:05:07".
func (b *Bridge) photoTitle(f *photo) string {
	layout := "15:04:05"
	if since(f.at) > 12*time.Hour {
		layout = "Mon 2 Jan 15:04:05"
	}
	return f.device.Name + ": " + strings.ToLower(f.point.Label) + ", " + f.at.In(b.zone()).Format(layout)
}

// age is said with a picture that is not of the moment.
func (b *Bridge) photoAge(f *photo) string {
	if since(f.at) < oldPhoto {
		return ""
	}
	return b.photoTitle(f) + ", " + ago(f.at)
}

// sharePhoto uploads a picture, when its turn has come, for somebody who asked, and who may have lost sight of the device
// meanwhile.
func (b *Bridge) sharePhoto(ctx context.Context, a asker, f *photo) (address string, err error) {
	done, err := b.pictures.take(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	defer func() {
		if !b.sees(a, f.device.ID) {
			address, err = "", devices.ErrUnknownDevice
		}
	}()
	if !b.sees(a, f.device.ID) {
		return "", devices.ErrUnknownDevice
	}
	name := b.addresses().Slug(f.device.ID) + "-" + f.point.Name + "-" + f.at.In(b.zone()).Format("20060102-150405") + f.file.Suffix
	return b.share(ctx, name, f.file.MIME, []byte(f.file.Data))
}

// photo answers "photo", said to a device, also with the name of one of its pictures.
func (t *talk) photo(d *mapping.Device, words []string) {
	points := photoPoints(d)
	if len(points) == 0 {
		t.say(d.Name + " takes no pictures.")
		return
	}
	p := points[0]
	if name := lower(withoutNoise(words)); name != "" {
		var names []string
		i := slices.IndexFunc(points, func(p *mapping.Point) bool {
			names = append(names, strings.ToLower(p.Label))
			return name == p.Name || name == strings.ToLower(p.Label)
		})
		switch near := schema.Nearest(name, names); {
		case i >= 0:
			p = points[i]
		case near != "":
			t.say(fmt.Sprintf("%s has no picture %q: did you mean %q?", d.Name, name, near))
			return
		default:
			t.say(fmt.Sprintf("%s has no picture %q; there is: %s.", d.Name, name, strings.Join(names, ", ")))
			return
		}
	}
	f, err := t.b.photoOf(d, p)
	if err != nil {
		t.say(sentence(err))
		return
	}
	t.later(d.ID, func(ctx context.Context) {
		address, err := t.b.sharePhoto(ctx, t.asker, f)
		switch {
		case errors.Is(err, devices.ErrUnknownDevice): // since they asked: to them it is not there
			return
		case err != nil:
			t.say(ended("The picture (" + t.b.photoTitle(f) + ") cannot be sent: " + err.Error()))
			return
		}
		if age := t.b.photoAge(f); age != "" {
			t.say(age + ".")
		}
		t.show(address)
	})
}

// hubPhoto answers it said to the hub: with the device's name behind, or without one where only one device has pictures.
func (t *talk) hubPhoto(visible []*mapping.Device, said []string) {
	words := said[1:]
	if len(words) > 0 && lower(words[:1]) == "of" {
		words = words[1:]
	}
	for start := range words {
		if matches, rest := t.b.named(visible, words[start:]); len(matches) == 1 {
			t.photo(matches[0], append(slices.Clone(words[:start]), rest...))
			return
		}
	}
	var able []*mapping.Device
	for _, d := range visible {
		if len(photoPoints(d)) > 0 {
			able = append(able, d)
		}
	}
	switch {
	case len(able) == 1:
		t.photo(able[0], words)
	case len(able) > 1 && len(words) == 0:
		t.say("Of which device? There are: " + addressList(t.b, able) + ".")
	case len(able) == 0 && len(words) == 0:
		t.say("No device that you may see takes pictures.")
	default:
		t.say(t.unknownName(visible, words))
	}
}

// photoCommands are those that send the latest picture, one a point.
func (b *Bridge) photoCommands(d *mapping.Device) []*command {
	var out []*command
	if d.Disabled {
		return nil
	}
	points := photoPoints(d)
	for _, p := range points {
		c := &command{node: b.addresses().Slug(d.ID) + "/" + photoNode, name: "Photo", device: d.ID,
			do: func(ctx context.Context, b *Bridge, c *call) (*outcome, error) { return b.showPhoto(ctx, d, p, c) }}
		if len(points) > 1 {
			c.node, c.name = c.node+"/"+p.Name, "Photo: "+strings.ToLower(p.Label)
		}
		out = append(out, c)
	}
	return out
}

// photoCommand finds the command of a node; nil: there is none.
func (b *Bridge) photoCommand(d *mapping.Device, rest string) *command {
	for _, c := range b.photoCommands(d) {
		if c.node == b.addresses().Slug(d.ID)+"/"+rest {
			return c
		}
	}
	return nil
}

// showPhoto sends the latest picture to whoever asked with a command.
func (b *Bridge) showPhoto(ctx context.Context, d *mapping.Device, p *mapping.Point, c *call) (*outcome, error) {
	f, err := b.photoOf(d, p)
	if err != nil {
		return &outcome{level: "warn", note: sentence(err)}, nil
	}
	address, err := b.sharePhoto(ctx, c.asker, f)
	switch {
	case isBusy(err), errors.Is(err, devices.ErrUnknownDevice):
		return nil, err
	case err != nil:
		return &outcome{level: "warn", note: "The picture (" + b.photoTitle(f) + ") cannot be sent: " + err.Error()}, nil
	}
	_, from := b.addresses().Device(d.ID)
	b.sendPicture(from, c.full, address)
	width, height := "", ""
	if size, _, err := image.DecodeConfig(strings.NewReader(f.file.Data)); err == nil { // of a WebP nothing is known
		width, height = strconv.Itoa(size.Width), strconv.Itoa(size.Height)
	}
	return &outcome{level: "info", note: b.photoTitle(f) + ": " + address, form: pictureForm(b.photoTitle(f), f.file.MIME, address, width, height)}, nil
}
