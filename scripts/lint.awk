# House rules of C files, one file after another; scripts/lint.sh calls it (POSIX awk).
# Prints "rule<TAB>file<TAB>line<TAB>message" for every finding.
#
# `code` is the line without comments and without the inside of literals. `statement` gathers what stands between
# two ends at brace depth 0: a declaration, or the head of a function.

BEGIN {
    FILE_LINES = 600
    FUNCTION_LINES = 80
    LINE_COLUMNS = 110
    read_modules(modules)
    split("sprintf vsprintf strcpy strcat atoi atol atoll atof strtok gets alloca rand srand", words, " ")
    for (i in words) {
        banned[words[i]] = 1
    }
    split("printf vprintf puts putchar perror exit _exit abort assert malloc calloc realloc free strdup", words, " ")
    for (i in words) {
        banned_in_library[words[i]] = 1
    }
}

# allowed[module, other]; users_of[header] = " module module "
function read_modules(path,    n, i, f) {
    while ((getline line < path) > 0) {
        n = split(line, f, /[ \t]+/)
        if (line ~ /^#/ || n == 0 || f[1] == "") {
            continue
        }
        for (i = 2; i <= n; i++) {
            if (f[1] != "external") {
                allowed[f[1], f[i]] = 1
            } else if (i > 2) {
                users_of[f[2]] = users_of[f[2]] " " f[i] " "
            }
        }
        known[f[1]] = 1
    }
    close(path)
}

function finding(rule, at, message) {
    printf "%s\t%s\t%d\t%s\n", rule, FILENAME, at, message
}

# "src/backend/cpu/x.c" -> "backend/cpu", "src/nn/x.h" -> "nn", anything outside src -> ""
function module_of(path,    f, n) {
    n = split(path, f, "/")
    if (f[1] != "src" || n < 3) {
        return ""
    }
    return f[2] == "backend" && n > 3 ? f[2] "/" f[3] : f[2]
}

# The line without comments; literals become "".
function strip(s,    out, hit) {
    out = ""
    while (s != "") {
        if (in_comment) {
            if (!index(s, "*/")) {
                return out
            }
            s = substr(s, index(s, "*/") + 2)
            in_comment = 0
        }
        if (!match(s, /\/\*|\/\/|"|'/)) {
            return out s
        }
        hit = substr(s, RSTART, RLENGTH)
        out = out substr(s, 1, RSTART - 1)
        s = substr(s, RSTART + RLENGTH)
        if (hit == "//") {
            return out
        }
        if (hit == "/*") {
            in_comment = 1
            continue
        }
        if (hit == "\"" ? match(s, /^([^"\\]|\\.)*"/) : match(s, /^([^'\\]|\\.)*'/)) {
            s = substr(s, RLENGTH + 1)
        }
        out = out "\"\""
    }
    return out
}

function check_include(    target, base) {
    if (match(raw, /"[^"]+"/)) {
        target = substr(raw, RSTART + 1, RLENGTH - 2)
        if (target ~ /^ark\// || module == "") {
            return
        }
        if (target !~ /\//) {
            finding("include", FNR, "write the path from src: \"" target "\"")
            return
        }
        base = target == "backend/backend.h" ? "backend.h" : module_of("src/" target)
        if (base == "backend.h" && module ~ /^backend/) {
            return
        }
        if (base != module && !((module, base) in allowed)) {
            finding("include", FNR, module " may not include " target)
        }
    } else if (match(raw, /<[^>]+>/)) {
        target = substr(raw, RSTART + 1, RLENGTH - 2)
        base = target
        sub(/^.*\//, "", base)
        if (module != "" && base in users_of && !index(users_of[base], " " module " ")) {
            finding("include", FNR, "<" target "> belongs to" users_of[base] "only")
        }
    }
}

function check_directive(    guard) {
    if (raw ~ /^[ \t]*#[ \t]*include/) {
        check_include()
    }
    if (raw ~ /^[ \t]*#[ \t]*pragma[ \t]+omp/ && raw !~ /omp[ \t]+simd/) {
        finding("omp", FNR, "threads come from ark_parallel")
    }
    directives++
    if (raw !~ /^[ \t]*#[ \t]*(if|elif)/ || raw ~ /__cplusplus/) {
        return
    }
    if (FILENAME ~ /\.h$/ && directives == 1 && raw ~ /^#ifndef [A-Z][A-Z0-9_]*_H$/) {
        has_guard = 1
        return
    }
    if (FILENAME ~ /^(src|include)\// && module !~ /^backend\// && FILENAME !~ /\/(registry\.c|config\.h)$/) {
        finding("feature-if", FNR, "build features are chosen in registries and backend folders: " raw)
    }
}

function check_calls(    rest, name, before) {
    rest = code
    before = ""
    while (match(rest, /[A-Za-z_][A-Za-z_0-9]*[ \t]*\(/)) {
        name = substr(rest, RSTART, RLENGTH)
        sub(/[ \t]*\($/, "", name)
        before = before substr(rest, 1, RSTART - 1)
        if (before !~ /(\.|->)$/ && (name in banned || (in_library && name in banned_in_library))) {
            finding("banned:" name, FNR, name "()")
        }
        before = before substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
    }
    if (in_library && match(code, /(^|[^A-Za-z_0-9])(stdout|stderr)([^A-Za-z_0-9]|$)/)) {
        finding("banned:print", FNR, "the library never prints")
    }
}

# A declaration, or the head of a function, of a header.
function check_declaration(    name) {
    if (FILENAME !~ /\.h$/ || statement ~ /^[ \t]*typedef|=|\(\*[a-z_]*\)/ ||
        !match(statement, /[A-Za-z_][A-Za-z_0-9]*[ \t]*\(/)) {
        return
    }
    name = substr(statement, RSTART, RLENGTH)
    sub(/[ \t]*\($/, "", name)
    if (statement ~ /^[ \t]*((static|inline|extern)[ \t]+)*ark_status[ \t]/ && statement !~ /ARK_MUST_CHECK/) {
        finding("must-check", statement_at, name " returns ark_status without ARK_MUST_CHECK")
    }
    if (FILENAME ~ /^(src|include)\// && name !~ /^(ark_|cli_|cmd_|ARK_)/ && statement !~ /_Noreturn|__attribute__/) {
        finding("prefix", statement_at, name " lacks the prefix ark_")
    }
}

function end_of_function() {
    if (FNR - statement_at + 1 > FUNCTION_LINES) {
        finding("function-size", statement_at, (FNR - statement_at + 1) " lines, limit " FUNCTION_LINES)
    }
    in_function = 0
}

# Follow braces; find functions and declarations.
function follow(    rest, c) {
    rest = code
    while (match(rest, /[{};]/)) {
        c = substr(rest, RSTART, 1)
        if (depth == 0) {
            add_to_statement(substr(rest, 1, RSTART - 1))
        }
        rest = substr(rest, RSTART + 1)
        if (c == "{") {
            if (depth == 0 && statement ~ /extern[ \t]*""[ \t]*$/) {
                statement = ""
                continue
            }
            if (depth == 0 && statement ~ /\)/ && statement !~ /=/) {
                in_function = 1
                check_declaration()
            }
            depth++
        } else if (c == "}") {
            if (depth > 0 && --depth == 0) {
                if (in_function) {
                    end_of_function()
                }
                statement = ""
            }
        } else if (depth == 0) {
            check_declaration()
            statement = ""
        }
    }
    if (depth == 0) {
        add_to_statement(rest)
    }
}

function add_to_statement(text) {
    if (statement ~ /^[ \t]*$/) {
        statement = ""
        statement_at = FNR
    }
    statement = statement " " text
}

function end_of_file() {
    if (previous != "" && lines > FILE_LINES) {
        printf "file-size\t%s\t%d\t%d lines, limit %d\n", previous, lines, lines, FILE_LINES
    }
    if (previous ~ /\.h$/ && !has_guard) {
        printf "guard\t%s\t1\tno include guard ..._H as first directive\n", previous
    }
}

FNR == 1 {
    end_of_file()
    previous = FILENAME
    module = module_of(FILENAME)
    in_library = module != "" && module != "app"
    in_comment = in_directive = in_function = depth = directives = has_guard = 0
    statement = ""
    if (module != "" && !(module in known)) {
        finding("include", 1, "module " module " is not in scripts/lint-modules.txt")
    }
}

{
    raw = $0
    lines = FNR
    if (raw ~ /(TODO|FIXME)/) {
        finding("todo", FNR, "open ends belong in an issue: " raw)
    }
    if (raw ~ /[ \t]+$/ || raw ~ /\t/) {
        finding("blank", FNR, "tab, or blanks at the end of the line")
    }
    if (length(raw) > LINE_COLUMNS && FILENAME !~ /^tests\/golden\//) {
        finding("width", FNR, length(raw) " columns, limit " LINE_COLUMNS)
    }
    code = strip(raw)
    check_calls()
    if (in_directive || code ~ /^[ \t]*#/) {
        if (!in_directive) {
            check_directive()
        }
        in_directive = raw ~ /\\$/
        next
    }
    follow()
}

END {
    end_of_file()
}
