# count.awk - sums test results. Input: Meson's testlog.json (one test a line) or a script's own
# lines. A test that reports cases ("ok NAME", "FAIL NAME: why", "skip NAME: why", or TAP) counts as
# its cases, any other as one. Prints each failure and skip, and the sums as a last line
# "= PASSED FAILED SKIPPED".
function field(line, name,    at, rest, out, c) {
    at = index(line, "\"" name "\": \"")
    if (!at) return ""
    rest = substr(line, at + length(name) + 5)
    # up to the first quote that no backslash escapes
    if (match(rest, /^([^"\\]|\\.)*/)) return substr(rest, 1, RLENGTH)
    return ""
}
function one(text,    is) {
    if (text ~ /^(not )?ok .*# *SKIP/ || text ~ /^skip /) { skipped++; cases++; print "  skip " label strip(text); return }
    if (text ~ /^ok( |$)/) { passed++; cases++; return }
    if (text ~ /^not ok( |$)/ || text ~ /^FAIL /) { failed++; bad++; cases++; print "  FAIL " label strip(text) }
}
function strip(text) { sub(/^(not ok|ok|FAIL|skip) (- )?/, "", text); return text }
/^\{/ {
    name = field($0, "name"); sub(/^.*(:| \/ )/, "", name)
    result = field($0, "result"); label = name ": "
    cases = bad = 0
    n = split(field($0, "stdout"), line, /\\n/)
    for (i = 1; i <= n; i++) one(line[i])
    if (result == "SKIP" && !cases) { skipped++; print "  skip " name }
    else if (result == "OK" || result == "EXPECTEDFAIL") { if (!cases) passed++ }
    else if (result != "SKIP" && !bad) { failed++; print "  FAIL " name ": " result }
    next
}
{ label = ""; one($0) }
END { print "= " passed + 0 " " failed + 0 " " skipped + 0 }
