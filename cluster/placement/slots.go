package placement

// SlotCount is the number of slots the key space is cut into, as in Redis
// Cluster.
const SlotCount = 16384

// Range is a run of slots, First to Last inclusive, that belongs to a region's
// group.
type Range struct {
	First, Last uint16
	Region      string
}

// Rule sends the keys whose tag begins with Prefix to a region's group, whatever
// their slot.
type Rule struct {
	Prefix string
	Region string
}

// Slots deals all slots to the regions in one range each, in the order given.
// The ranges' sizes differ by one at most. It returns nil without regions.
func Slots(regions []string) []Range {
	ranges := make([]Range, 0, len(regions))
	for i, r := range regions {
		first, end := i*SlotCount/len(regions), (i+1)*SlotCount/len(regions)
		if first < end {
			ranges = append(ranges, Range{First: uint16(first), Last: uint16(end - 1), Region: r})
		}
	}
	if len(ranges) == 0 {
		return nil
	}
	return ranges
}
