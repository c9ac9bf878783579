# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# An exposition of poolscope on stdin (HTTP headers before it do no harm) → one line per series. POSIX awk, so that mawk will do.

# The value of a label in the text between the braces, unescaped but for \n.
function label(text, name,    at, c, value) {
	at = index("," text, "," name "=\"")
	if (!at)
		return ""
	value = ""
	for (at += length(name) + 2; at <= length(text); at++) {
		c = substr(text, at, 1)
		if (c == "\"")
			break
		if (c == "\\") {
			at++
			c = substr(text, at, 1)
			if (c == "n")
				c = "\\n"
		}
		value = value c
	}
	return value
}

function seconds(s) {
	if (s < 0.001)
		return sprintf("%.0fus", s * 1000000)
	if (s < 1)
		return sprintf("%.*fms", s < 0.1, s * 1000)
	return sprintf("%.2fs", s)
}

# As histogram_quantile(): linear within the bucket; in the last one its lower bound is all that is known.
function quantile(key, q,    i, n, rank, low, before) {
	n = buckets[key]
	if (!n || !cumulative[key, n])
		return "-"
	rank = q * cumulative[key, n]
	low = before = 0
	for (i = 1; i < n; i++) {
		if (cumulative[key, i] >= rank)
			return seconds(low + (bound[key, i] - low) * (rank - before) / (cumulative[key, i] - before))
		low = bound[key, i]
		before = cumulative[key, i]
	}
	return ">" seconds(low)
}

function cell(key, name) {
	return ((key, name) in sum) ? sprintf("%d", sum[key, name]) : "-"
}

/^poolscope_/ && index($0, "peer_address=\"") {
	open = index($0, "{")
	name = substr($0, 1, open - 1)
	text = substr($0, open + 1)
	value = $NF + 0
	key = label(text, "process") SUBSEP label(text, "direction") SUBSEP label(text, "peer_address") SUBSEP \
		label(text, "server_port")
	if (!(key in known)) {
		known[key] = 1
		order[++count] = key
	}
	if (name == "poolscope_connection_handshake_duration_seconds_bucket") {
		buckets[key]++
		bound[key, buckets[key]] = label(text, "le") + 0
		cumulative[key, buckets[key]] = value
	} else {
		sub(/^poolscope_connections?_/, "", name)
		sub(/_total$/, "", name)
		sum[key, name] += value
	}
}

END {
	widest = 9
	for (i = 1; i <= count; i++) {
		split(order[i], part, SUBSEP)
		peer[i] = part[3] ":" part[4]
		if (index(part[3], ":"))
			peer[i] = "[" part[3] "]:" part[4]
		if (part[3] == "other")
			peer[i] = "other"
		if (length(peer[i]) > widest)
			widest = length(peer[i])
	}
	row = "%-12s %-4s %-" widest "s %6s %7s %6s %5s %7s %7s %7s %6s %7s %7s\n"
	printf row, "PROCESS", "DIR", "PEER:PORT", "ACTIVE", "PENDING", "QUEUED", "STALE", "OPENED", "ADOPTED", "CLOSED", "FAILED",
		"P50", "P99"
	for (i = 1; i <= count; i++) {
		key = order[i]
		split(key, part, SUBSEP)
		printf row, part[1], part[2] == "inbound" ? "in" : "out", peer[i], cell(key, "active"), cell(key, "pending"),
			cell(key, "queued"), cell(key, "stale"), cell(key, "opened"), cell(key, "adopted"), cell(key, "closed"),
			cell(key, "failures"), quantile(key, 0.5), quantile(key, 0.99)
	}
	if (!count)
		print "(no connection yet)"
}
