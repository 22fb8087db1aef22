package devices

import (
	"log/slog"
	"time"

	"tidings/devices/schema"
)

// A Type describes a kind of driver: the keys it declares and how one is built.
type Type struct {
	Name string // the `type` of a driver's table: "serial"
	Help string // one paragraph for the reference page

	// Kind is what a point is whose table does not say: KindNumber for most, KindSwitch for GPIO.
	Kind PointKind

	// The keys it declares for its own table, for a device's and for a point's. `type`, `offline_after` and mapping's
	// keys are not among them.
	Connection, Device, Point []schema.Key

	// Expand lays under a device's table what it refers to (a profile, say), and adds what follows from what stands there. It is
	// called with the table of its driver before any key is checked, so everything in both may be wrong; whoever reads the
	// device's table then sees what was added as if it stood there. Mistakes are recorded as in Build. Nil: nothing to do.
	Expand func(driver, device *schema.Table)

	// Writes says by a point's table whether the point can be commanded, for checks that come before there is a driver.
	// Nil: nobody knows.
	Writes func(point *schema.Table) bool

	// Discovers says by a connection's table whether devices without a table of their own may announce themselves there; nil:
	// never. Their IDs have a colon, which no name of a table has.
	Discovers func(connection *schema.Table) bool

	// Points says by the tables of a connection and a device which points the device has, or may have once it has announced
	// them: those it has by itself, and those of its tables, each with its kind. What is left out is of Kind. The connection is
	// nil where it is taken out of the file. Nil: those of its tables, each of Kind.
	Points func(connection, device *schema.Table) []Point

	// Build makes the driver of one table without touching hardware or network; mistakes are recorded with
	// Table.Errorf, at their place, and nil is returned when there are any it cannot live with.
	Build func(Connection) Driver
}

// A Connection is one table of [drivers] with the devices that name it.
type Connection struct {
	Name    string
	Table   *schema.Table
	Devices []DeviceConfig
	Log     *slog.Logger
	Memory  Memory // nil: nothing is kept
}

// A Memory keeps numbers over restarts for drivers whose devices do not: a count of pulses. It is safe for concurrent use.
type Memory interface {
	// Recall returns what was last kept for a point, and whether anything was. It may read a file: it is for Run.
	Recall(id ID, point string) (f float64, ok bool, err error)
	// Keep has a number kept, in place of the one before. It never waits for anything but memory; what is kept is written
	// with others some seconds later, and when the gateway stops, so that a crash loses at most the last MemoryDelay.
	Keep(id ID, point string, f float64)
}

// MemoryDelay is how long a number that is kept may take to be written. It spares SD cards.
const MemoryDelay = 10 * time.Second

// KindOf is what a point of a device is whose table does not say.
func (t *Type) KindOf(connection, device *schema.Table, point string) PointKind {
	if t.Points != nil {
		for _, p := range t.Points(connection, device) {
			if p.Name == point {
				return p.Kind
			}
		}
	}
	return t.Kind
}

// A DeviceConfig is one table of [devices], from the driver's side.
type DeviceConfig struct {
	ID     ID
	Table  *schema.Table
	Points []PointConfig
	// Disabled is for a device with match alone: it is left out although it announces itself. Others that are disabled are
	// not among those on a connection.
	Disabled bool
}

// A PointConfig is one table of a device's points, from the driver's side. Points without a source of their own
// (computed ones) are not among them.
type PointConfig struct {
	Name string
	Kind PointKind // from the table, or: a switch where it has on/off, else the Type's Kind
	// KindGiven: the table says Kind, or has on or off. A device that describes itself says it where the table does not.
	KindGiven bool
	Options   []string // of a choice
	Safe      Value    // raw: what it is set to when the gateway stops; zero when nothing is to be done
	Table     *schema.Table
}
