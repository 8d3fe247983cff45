package planner

import (
	"fmt"
	"slices"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// dayFormat is how days are written in a policy.
const dayFormat = "2006-01-02"

// maxDays bounds the search for a free day, so that a freeze without end is an
// error and not an endless loop.
const maxDays = 3 * 366

// dates gives each wave its first possible day: on an allowed weekday, in no
// freeze window of any namespace that it touches, and after the previous wave has soaked.
// Without a calendar waves have no dates.
func dates(slots []Slot, p *api.MigrationPolicy, now time.Time) error {
	if p.Calendar == nil {
		return nil
	}
	day, err := time.Parse(dayFormat, p.Calendar.Start)
	if err != nil {
		return fmt.Errorf("calendar.start: %w", err)
	}
	if today := now.UTC().Truncate(24 * time.Hour); !now.IsZero() && today.After(day) {
		day = today
	}
	soak := 24 * time.Hour
	if p.SoakTime != "" {
		if soak, err = time.ParseDuration(p.SoakTime); err != nil {
			return fmt.Errorf("soakTime: %w", err)
		}
	}
	for i := range slots {
		if slots[i].begun {
			continue
		}
		touched := slices.Clone(slots[i].Namespaces)
		for _, e := range slots[i].Early {
			touched = append(touched, e.Namespace)
		}
		touched = union(touched)
		free := day
		var why []string
		for n := 0; ; n++ {
			if n > maxDays {
				return fmt.Errorf("%w: no day within three years of %s is free for %s", ErrContradiction, p.Calendar.Start, shortList(touched, 3))
			}
			reason := closed(free, touched, p.Calendar)
			if reason == "" {
				break
			}
			if !slices.Contains(why, reason) {
				why = append(why, reason)
			}
			free = free.AddDate(0, 0, 1)
		}
		slots[i].NotBefore = free.Format(dayFormat)
		if len(why) > 0 {
			slots[i].Reasons = append(slots[i].Reasons, fmt.Sprintf("not before %s, because of %s", slots[i].NotBefore, shortList(why, maxReasons)))
		}
		days := int((soak + 24*time.Hour - 1) / (24 * time.Hour))
		day = free.AddDate(0, 0, max(days, 1))
	}
	return nil
}

// Dates gives slots that are carried out one after another their first possible days, as
// a plan has them: see MigrationPolicy.Calendar. It fails with ErrContradiction when no
// day is left.
func Dates(slots []Slot, p *api.MigrationPolicy, now time.Time) error { return dates(slots, p, now) }

// closed says what forbids a wave that touches these namespaces to start on a
// day; "" when nothing does.
func closed(day time.Time, namespaces []string, c *api.Calendar) string {
	weekdays := c.Weekdays
	if len(weekdays) == 0 {
		weekdays = []string{"Mon", "Tue", "Wed", "Thu"}
	}
	d := day.Format(dayFormat)
	for _, f := range c.Freeze {
		hit := len(f.Namespaces) == 0 || slices.ContainsFunc(f.Namespaces, func(n string) bool { return slices.Contains(namespaces, n) })
		if hit && f.From <= d && d <= f.To {
			return "freeze window " + f.Name
		}
	}
	if !slices.Contains(weekdays, day.Weekday().String()[:3]) {
		return "the calendar's weekdays"
	}
	return ""
}
