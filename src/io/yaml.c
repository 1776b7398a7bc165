/* libyaml's events become our tree; its own document builder is not used, because it
 * expands aliases unbounded. */
#include "io/yaml.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { MAX_BYTES = 16 << 20, MAX_NODES = 100000, MAX_DEPTH = 32, MAX_ANCHORS = 256, BLOCK_BYTES = 1 << 16 };

/* Everything a document owns is carved from blocks that are freed together. */
typedef struct block {
    struct block *next;
    size_t used, size;
    max_align_t bytes[];
} block;

typedef struct document {
    ark_yaml pub; /* first, so that the two pointers convert */
    block *blocks;
} document;

/* A collection that is being read. Its arrays move into the document when it ends. */
typedef struct frame {
    ark_yaml_node *node;
    const char **keys;
    int *key_lines;
    ark_yaml_node **items;
    size_t cap;
    bool has_key;    /* a key was read, its value was not */
    size_t expanded; /* nodes in it with aliases expanded, itself included */
    int height;      /* levels below it */
    int anchor;      /* index of its anchor, or -1 */
} frame;

typedef struct anchor {
    const char *name;
    ark_yaml_node *node;
    bool open; /* the node is not complete: an alias to it would be a cycle */
    size_t expanded;
    int height;
} anchor;

typedef struct builder {
    document *doc;
    const char *path;
    frame stack[MAX_DEPTH];
    int depth;
    anchor anchors[MAX_ANCHORS];
    int anchor_count;
    size_t nodes; /* with aliases expanded */
    int line;     /* of the last event that had a place */
    int documents;
} builder;

static ark_status no_memory(const builder *b) {
    return ARK_ERR(ARK_ENOMEM, "%s: out of memory", b->path);
}

static void *take(document *doc, size_t bytes) {
    size_t unit = sizeof(max_align_t);
    bytes = (bytes + unit - 1) / unit * unit;
    block *top = doc->blocks;
    if (!top || top->size - top->used < bytes) {
        size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        top = ark_malloc(sizeof *top + size);
        if (!top) {
            return NULL;
        }
        *top = (block){.next = doc->blocks, .size = size};
        doc->blocks = top;
    }
    void *p = (char *)top->bytes + top->used;
    top->used += bytes;
    return p;
}

static void *take_copy(document *doc, const void *from, size_t bytes) {
    void *p = take(doc, bytes);
    if (p && bytes) {
        memcpy(p, from, bytes);
    }
    return p;
}

/* n bytes of text as a string of the document. */
static ark_status take_text(builder *b, const yaml_char_t *text, size_t n, const char **out) {
    if (memchr(text, 0, n)) {
        return ARK_ERR(ARK_EFORMAT, "%s:%d: text contains a NUL character", b->path, b->line);
    }
    char *copy = take(b->doc, n + 1);
    if (!copy) {
        return no_memory(b);
    }
    memcpy(copy, text, n);
    copy[n] = '\0';
    *out = copy;
    return ARK_OK;
}

static ark_status count_nodes(builder *b, size_t more) {
    b->nodes += more;
    if (b->nodes > MAX_NODES) {
        return ARK_ERR(
            ARK_EFORMAT, "%s:%d: more than %d values after expanding aliases", b->path, b->line, MAX_NODES);
    }
    return ARK_OK;
}

static ark_status new_node(builder *b, ark_yaml_kind kind, ark_yaml_node **out) {
    ARK_TRY(count_nodes(b, 1));
    ark_yaml_node *node = take(b->doc, sizeof *node);
    if (!node) {
        return no_memory(b);
    }
    *node = (ark_yaml_node){.kind = kind, .line = b->line};
    *out = node;
    return ARK_OK;
}

/* Remember &name; index -1 when there is no anchor. A later anchor of the same name replaces the earlier. */
static ark_status new_anchor(builder *b, const yaml_char_t *name, ark_yaml_node *node, int *index) {
    *index = -1;
    if (!name) {
        return ARK_OK;
    }
    if (b->anchor_count == MAX_ANCHORS) {
        return ARK_ERR(ARK_EFORMAT, "%s:%d: more than %d anchors", b->path, b->line, MAX_ANCHORS);
    }
    anchor *a = &b->anchors[b->anchor_count];
    *a = (anchor){.node = node, .open = node->kind != ARK_YAML_SCALAR, .expanded = 1};
    ARK_TRY(take_text(b, name, strlen((const char *)name), &a->name));
    *index = b->anchor_count++;
    return ARK_OK;
}

static ark_status grow(builder *b, frame *f) {
    if (f->node->count < f->cap) {
        return ARK_OK;
    }
    size_t cap = f->cap ? 2 * f->cap : 8;
    ark_yaml_node **items = ark_realloc(f->items, cap * sizeof *items);
    f->items = items ? items : f->items;
    const char **keys = ark_realloc(f->keys, cap * sizeof *keys);
    f->keys = keys ? keys : f->keys;
    int *lines = ark_realloc(f->key_lines, cap * sizeof *lines);
    f->key_lines = lines ? lines : f->key_lines;
    if (!items || !keys || !lines) {
        return no_memory(b);
    }
    f->cap = cap;
    return ARK_OK;
}

/* Put a value where it belongs. expanded and height are its own (0 below a collection that only begins). */
static ark_status attach(builder *b, ark_yaml_node *node, size_t expanded, int height) {
    if (b->depth == 0) {
        b->doc->pub.root = node;
        return ARK_OK;
    }
    frame *f = &b->stack[b->depth - 1];
    if (f->node->kind == ARK_YAML_MAP && !f->has_key) {
        return ARK_ERR(ARK_EFORMAT, "%s:%d: a key must be plain text", b->path, b->line);
    }
    if (f->node->kind == ARK_YAML_SEQ) {
        ARK_TRY(grow(b, f));
    }
    if (b->depth + height > MAX_DEPTH) {
        return ARK_ERR(ARK_EFORMAT, "%s:%d: nested deeper than %d levels", b->path, b->line, MAX_DEPTH);
    }
    f->items[f->node->count++] = node;
    f->has_key = false;
    f->expanded += expanded;
    f->height = height + 1 > f->height ? height + 1 : f->height;
    return ARK_OK;
}

static ark_status add_key(builder *b, frame *f, const yaml_event_t *e) {
    ARK_TRY(grow(b, f));
    const char *key;
    ARK_TRY(take_text(b, e->data.scalar.value, e->data.scalar.length, &key));
    if (!strcmp(key, "<<") && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        return ARK_ERR(ARK_EFORMAT, "%s:%d: merge keys (<<) are not supported", b->path, b->line);
    }
    f->keys[f->node->count] = key;
    f->key_lines[f->node->count] = b->line;
    f->has_key = true;
    return ARK_OK;
}

static bool is_null(const char *s) {
    return !strcmp(s, "~") || !strcmp(s, "null") || !strcmp(s, "Null") || !strcmp(s, "NULL");
}

static ark_status on_scalar(builder *b, const yaml_event_t *e) {
    frame *f = b->depth ? &b->stack[b->depth - 1] : NULL;
    if (f && f->node->kind == ARK_YAML_MAP && !f->has_key) {
        if (e->data.scalar.anchor) {
            return ARK_ERR(ARK_EFORMAT, "%s:%d: a key must be plain text", b->path, b->line);
        }
        return add_key(b, f, e);
    }
    ark_yaml_node *node;
    int index;
    ARK_TRY(new_node(b, ARK_YAML_SCALAR, &node));
    ARK_TRY(new_anchor(b, e->data.scalar.anchor, node, &index));
    ARK_TRY(take_text(b, e->data.scalar.value, e->data.scalar.length, &node->text));
    node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (!node->quoted && is_null(node->text)) {
        node->text = "";
    }
    return attach(b, node, 1, 0);
}

static ark_status on_alias(builder *b, const char *name) {
    for (int i = b->anchor_count; i-- > 0;) {
        anchor *a = &b->anchors[i];
        if (!strcmp(a->name, name)) {
            if (a->open) {
                return ARK_ERR(
                    ARK_EFORMAT, "%s:%d: alias *%s lies inside what it names", b->path, b->line, name);
            }
            ARK_TRY(count_nodes(b, a->expanded));
            return attach(b, a->node, a->expanded, a->height);
        }
    }
    return ARK_ERR(ARK_EFORMAT, "%s:%d: alias *%s names no earlier anchor", b->path, b->line, name);
}

static ark_status on_start(builder *b, ark_yaml_kind kind, const yaml_char_t *anchor_name) {
    ark_yaml_node *node;
    int index;
    ARK_TRY(new_node(b, kind, &node));
    ARK_TRY(new_anchor(b, anchor_name, node, &index));
    ARK_TRY(attach(b, node, 0, 0));
    if (b->depth == MAX_DEPTH) {
        return ARK_ERR(ARK_EFORMAT, "%s:%d: nested deeper than %d levels", b->path, b->line, MAX_DEPTH);
    }
    b->stack[b->depth++] = (frame){.node = node, .expanded = 1, .anchor = index};
    return ARK_OK;
}

typedef struct key_at {
    const char *key;
    int line;
    size_t index;
} key_at;

static int by_key(const void *a, const void *b) {
    const key_at *x = a, *y = b;
    int c = strcmp(x->key, y->key);
    return c ? c : (x->index > y->index) - (x->index < y->index);
}

static ark_status refuse_duplicate_keys(const builder *b, const frame *f) {
    size_t n = f->node->count;
    key_at *sorted = ark_malloc(n * sizeof *sorted);
    if (!sorted) {
        return no_memory(b);
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i] = (key_at){f->keys[i], f->key_lines[i], i};
    }
    qsort(sorted, n, sizeof *sorted, by_key);
    ark_status st = ARK_OK;
    for (size_t i = 1; i < n && st == ARK_OK; i++) {
        if (!strcmp(sorted[i - 1].key, sorted[i].key)) {
            st = ARK_ERR(ARK_EFORMAT, "%s:%d: duplicate key '%s', first in line %d", b->path, sorted[i].line,
                sorted[i].key, sorted[i - 1].line);
        }
    }
    ark_free(sorted);
    return st;
}

static ark_status on_end(builder *b) {
    frame *f = &b->stack[b->depth - 1];
    ark_yaml_node *node = f->node;
    if (node->kind == ARK_YAML_MAP) {
        ARK_TRY(refuse_duplicate_keys(b, f));
        node->keys = take_copy(b->doc, f->keys, node->count * sizeof *node->keys);
        node->key_lines = take_copy(b->doc, f->key_lines, node->count * sizeof *node->key_lines);
        if (!node->keys || !node->key_lines) {
            return no_memory(b);
        }
    }
    node->items = take_copy(b->doc, f->items, node->count * sizeof *node->items);
    if (!node->items) {
        return no_memory(b);
    }
    if (f->anchor >= 0) {
        anchor *a = &b->anchors[f->anchor];
        *a = (anchor){.name = a->name, .node = node, .expanded = f->expanded, .height = f->height};
    }
    b->depth--;
    if (b->depth > 0) {
        frame *parent = &b->stack[b->depth - 1];
        parent->expanded += f->expanded;
        parent->height = f->height + 1 > parent->height ? f->height + 1 : parent->height;
    }
    ark_free(f->items);
    ark_free(f->keys);
    ark_free(f->key_lines);
    *f = (frame){0};
    return ARK_OK;
}

static ark_status refuse_tag(const builder *b, const yaml_char_t *tag) {
    return tag ? ARK_ERR(ARK_EFORMAT, "%s:%d: tags (!) are not supported", b->path, b->line) : ARK_OK;
}

static ark_status on_event(builder *b, const yaml_event_t *e) {
    b->line = (int)e->start_mark.line + 1;
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return b->documents++ ? ARK_ERR(ARK_EFORMAT, "%s:%d: more than one document", b->path, b->line)
                              : ARK_OK;
    case YAML_SCALAR_EVENT:
        ARK_TRY(refuse_tag(b, e->data.scalar.tag));
        return on_scalar(b, e);
    case YAML_ALIAS_EVENT:
        return on_alias(b, (const char *)e->data.alias.anchor);
    case YAML_SEQUENCE_START_EVENT:
        ARK_TRY(refuse_tag(b, e->data.sequence_start.tag));
        return on_start(b, ARK_YAML_SEQ, e->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        ARK_TRY(refuse_tag(b, e->data.mapping_start.tag));
        return on_start(b, ARK_YAML_MAP, e->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(b);
    default:
        return ARK_OK;
    }
}

static ark_status syntax_error(const builder *b, const yaml_parser_t *p) {
    if (p->error == YAML_MEMORY_ERROR) {
        return no_memory(b);
    }
    if (p->error == YAML_READER_ERROR) {
        return ARK_ERR(ARK_EFORMAT, "%s: %s at byte %zu", b->path, p->problem, p->problem_offset);
    }
    return ARK_ERR(ARK_EFORMAT, "%s:%zu: %s%s%s", b->path, p->problem_mark.line + 1, p->problem,
        p->context ? " " : "", p->context ? p->context : "");
}

static ark_status read_events(builder *b, const char *text, size_t n) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return no_memory(b);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    ark_status st = ARK_OK;
    for (bool done = false; st == ARK_OK && !done;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&parser, &e)) {
            st = syntax_error(b, &parser);
            break;
        }
        done = e.type == YAML_STREAM_END_EVENT;
        st = on_event(b, &e);
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&parser);
    return st;
}

static ark_status build(document *doc, const char *text, size_t n) {
    builder *b;
    ARK_TRY(ARK_NEW(&b, 1, "a YAML parser"));
    b->doc = doc;
    b->path = doc->pub.path;
    b->line = 1;
    ark_status st = read_events(b, text, n);
    if (st == ARK_OK && !doc->pub.root) {
        st = new_node(b, ARK_YAML_SCALAR, &doc->pub.root);
        if (st == ARK_OK) {
            doc->pub.root->text = "";
        }
    }
    for (int i = 0; i < b->depth; i++) { /* left open by an error */
        ark_free(b->stack[i].items);
        ark_free(b->stack[i].keys);
        ark_free(b->stack[i].key_lines);
    }
    ark_free(b);
    return st;
}

ark_status ark_yaml_parse(const char *text, size_t n, const char *name, ark_yaml **out) {
    if (n > MAX_BYTES) {
        return ARK_ERR(ARK_EFORMAT, "%s: %zu bytes, limit %d", name, n, MAX_BYTES);
    }
    document *doc;
    ARK_TRY(ARK_NEW(&doc, 1, "a YAML document"));
    doc->pub.path = ark_strdup(name);
    ark_status st = doc->pub.path ? build(doc, text, n) : ARK_ERR(ARK_ENOMEM, "%s: out of memory", name);
    if (st != ARK_OK) {
        ark_yaml_free(&doc->pub);
        return st;
    }
    *out = &doc->pub;
    return ARK_OK;
}

ark_status ark_yaml_read(const char *path, ark_yaml **out) {
    char *text;
    size_t n;
    ARK_TRY(ark_file_read(path, MAX_BYTES, &text, &n));
    ark_status st = ark_yaml_parse(text, n, path, out);
    ark_free(text);
    return st;
}

void ark_yaml_free(ark_yaml *y) {
    if (!y) {
        return;
    }
    document *doc = (document *)y;
    for (block *b = doc->blocks, *next; b; b = next) {
        next = b->next;
        ark_free(b);
    }
    ark_free(doc->pub.path);
    ark_free(doc);
}
