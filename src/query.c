#include "config.h"

#include "query.h"

#include <string.h>

#include "util.h"

const char query_not_understood[] = "nyi";
const char query_too_much[] = "limit";

/* ---- names ---- */

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
starts_name(char c)
{
	return is_letter(c) || c == '.';
}

static bool
continues_name(char c)
{
	return starts_name(c) || is_digit(c) || c == '_';
}

const struct request_name *
query_find(const struct query_names *names, struct text name)
{
	for (size_t i = 0; i < names->cnt; i++)
		if (strlen(names->names[i].name) == name.len &&
		    memcmp(names->names[i].name, name.at, name.len) == 0)
			return &names->names[i];
	return NULL;
}

const struct request_name *
query_find_member(const struct query_names *names, struct text dict,
		  const struct text *key)
{
	for (size_t i = 0; i < names->cnt; i++) {
		const char *name = names->names[i].name;

		if (strlen(name) <= dict.len ||
		    memcmp(name, dict.at, dict.len) != 0 ||
		    name[dict.len] != '.')
			continue;
		name += dict.len + 1;
		if (key == NULL || (strlen(name) == key->len &&
				    memcmp(name, key->at, key->len) == 0))
			return &names->names[i];
	}
	return NULL;
}

bool
query_is_dict(const struct query_names *names, struct text name)
{
	return name.len > 0 && query_find_member(names, name, NULL) != NULL;
}

const char *
query_name_error(const struct query_names *names, struct text name)
{
	size_t len = min_u64(name.len, REQUEST_ERROR_MAX - 1);

	if (len == 0)
		return query_not_understood;
	memcpy(names->error, name.at, len);
	names->error[len] = 0;
	return names->error;
}

/* Behind the string that begins at `at` with a quote. */
static const char *
skip_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		if (*at == '\\' && end - at > 1)
			at++;
	return at < end ? at + 1 : end;
}

/* Behind the symbol that begins at `at` with a backtick. */
static const char *
skip_symbol(const char *at, const char *end)
{
	bool is_path = false;

	for (at++; at < end; at++) {
		is_path = is_path || *at == ':';
		if (!continues_name(*at) && *at != ':' &&
		    !(is_path && *at == '/'))
			break;
	}
	return at;
}

const char *
query_text_error(const struct query_names *names, struct text text)
{
	const char *at = text.at, *end = at + text.len;
	unsigned braces = 0;

	while (at < end) {
		const char *start = at;

		if (*at == '"') {
			at = skip_string(at, end);
		} else if (*at == '`') {
			at = skip_symbol(at, end);
		} else if (starts_name(*at) || is_digit(*at)) {
			struct text name;

			while (at < end && continues_name(*at))
				at++;
			name = (struct text){ start, (size_t)(at - start) };
			if (starts_name(*start) && braces == 0 &&
			    query_find(names, name) == NULL &&
			    !query_is_dict(names, name))
				return query_name_error(names, name);
		} else {
			braces += *at == '{';
			braces -= *at == '}' && braces > 0;
			at++;
		}
	}
	return query_not_understood;
}

bool
query_is_name(struct text *text)
{
	struct text t = *text;

	for (; t.len > 0 && is_space(*t.at); t.len--)
		t.at++;
	while (t.len > 0 && is_space(t.at[t.len - 1]))
		t.len--;
	if (t.len == 0 || !starts_name(*t.at))
		return false;
	for (size_t i = 1; i < t.len; i++)
		if (!continues_name(t.at[i]))
			return false;
	*text = t;
	return true;
}

/* ---- nodes ---- */

/* The parser gives NULL after the first error, everywhere. */
static struct node *
refuse(struct query *q, const char *error)
{
	if (q->error == NULL)
		q->error = error;
	return NULL;
}

static struct node *
refuse_text(struct query *q)
{
	struct text rest = { q->at, (size_t)(q->end - q->at) };

	return refuse(q, query_text_error(q->names, rest));
}

static struct node *
new_node(struct query *q, enum node_kind kind)
{
	struct node *n;

	if (q->nodes_cnt == QUERY_NODES_MAX)
		return refuse(q, query_too_much);
	n = &q->nodes[q->nodes_cnt++];
	*n = (struct node){ .kind = kind };
	return n;
}

static void
add_child(struct node *parent, struct node *child)
{
	if (parent->last == NULL)
		parent->children = child;
	else
		parent->last->next = child;
	parent->last = child;
	parent->children_cnt++;
}

static void
skip_spaces(struct query *q)
{
	while (q->at < q->end && is_space(*q->at))
		q->at++;
}

/* Skips spaces; true, and skips it, if c comes next. */
static bool
take_char(struct query *q, char c)
{
	skip_spaces(q);
	if (q->at == q->end || *q->at != c)
		return false;
	q->at++;
	return true;
}

int
query_read_escape(const char **at, const char *end)
{
	static const char letters[] = "ntr\"\\", values[] = "\n\t\r\"\\";
	const char *letter;
	int v = 0;

	if (*at == end)
		return -1;
	letter = memchr(letters, **at, sizeof(letters) - 1);
	if (letter != NULL) {
		(*at)++;
		return values[letter - letters];
	}
	if (end - *at < 3)
		return -1;
	for (int i = 0; i < 3; i++, (*at)++) {
		if (**at < '0' || **at > '7')
			return -1;
		v = v * 8 + (**at - '0');
	}
	return v <= UINT8_MAX ? v : -1;
}

static struct node *
parse_string(struct query *q)
{
	const char *end = skip_string(q->at, q->end), *at = q->at + 1;
	struct node *n = new_node(q, NODE_STRING);

	if (n == NULL)
		return NULL;
	while (at < end && *at != '"') {
		if (*at++ == '\\' && query_read_escape(&at, end) < 0)
			return refuse_text(q);
		n->number++;
	}
	if (at == end) /* not closed */
		return refuse_text(q);
	n->text = (struct text){ q->at, (size_t)(end - q->at) };
	q->at = end;
	return n;
}

static struct node *
parse_symbols(struct query *q)
{
	struct node *n = new_node(q, NODE_SYMBOLS);

	if (n == NULL)
		return NULL;
	n->text.at = q->at;
	for (; q->at < q->end && *q->at == '`'; n->number++)
		q->at = skip_symbol(q->at, q->end);
	n->text.len = (size_t)(q->at - n->text.at);
	return n;
}

static struct node *
parse_number(struct query *q)
{
	const char *at = q->at, *digits;
	bool is_negative = *at == '-', is_boolean;
	struct node *n = new_node(q, NODE_LONG);
	int64_t v = 0;

	if (n == NULL)
		return NULL;
	at += is_negative;
	for (digits = at; at < q->end && is_digit(*at); at++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, *at - '0', &v))
			return refuse_text(q);
	is_boolean = at < q->end && *at == 'b' && at - q->at == 1 && v <= 1;
	if (is_boolean)
		n->kind = NODE_BOOLEAN;
	if (is_boolean || (at < q->end && *at == 'j'))
		at++;
	if (at == digits || (at < q->end && continues_name(*at)))
		return refuse_text(q);
	n->number = is_negative ? -v : v;
	q->at = at;
	return n;
}

static struct node *
resolve(struct query *q, struct text text)
{
	const struct request_name *name = query_find(q->names, text);
	struct node *n;

	if (name == NULL && !query_is_dict(q->names, text))
		return refuse(q, query_name_error(q->names, text));
	n = new_node(q, NODE_DICT);
	if (n == NULL)
		return NULL;
	n->text = text;
	n->name = name;
	if (name != NULL)
		n->kind = name->args_cnt < 0 ? NODE_VARIABLE : NODE_FUNCTION;
	return n;
}

static struct node *
parse_name(struct query *q)
{
	struct text text = { q->at, 0 };

	while (q->at < q->end && continues_name(*q->at))
		q->at++;
	text.len = (size_t)(q->at - text.at);
	return resolve(q, text);
}

static struct node *parse_expr(struct query *q);

/* expr ; expr ; ... up to the closing bracket, as children of a new node. */
static struct node *
parse_items(struct query *q, enum node_kind kind, char close)
{
	struct node *parent = new_node(q, kind), *item;

	if (parent == NULL || take_char(q, close))
		return parent;
	do {
		item = parse_expr(q);
		if (item == NULL)
			return NULL;
		add_child(parent, item);
	} while (take_char(q, ';'));
	return take_char(q, close) ? parent : refuse_text(q);
}

static struct node *
parse_list(struct query *q)
{
	struct node *n = parse_items(q, NODE_LIST, ')');

	if (n != NULL && n->children_cnt == 1)
		return n->children;
	return n;
}

/* A new kind of value is a branch here and one in evaluate(). */
static struct node *
parse_primary(struct query *q)
{
	skip_spaces(q);
	if (q->at == q->end)
		return refuse_text(q);
	if (*q->at == '`')
		return parse_symbols(q);
	if (*q->at == '"')
		return parse_string(q);
	if (*q->at == '-' || is_digit(*q->at))
		return parse_number(q);
	if (starts_name(*q->at))
		return parse_name(q);
	if (q->end - q->at > 1 && memcmp(q->at, "::", 2) == 0) {
		q->at += 2;
		return new_node(q, NODE_NULL);
	}
	return take_char(q, '(') ? parse_list(q) : refuse_text(q);
}

/* args, whose children are the arguments, becomes head[args]. */
static struct node *
apply(struct query *q, struct node *head, struct node *args)
{
	if (head->kind == NODE_SYMBOLS && head->number == 1) {
		head = resolve(q, (struct text){ head->text.at + 1,
						 head->text.len - 1 });
		if (head == NULL)
			return NULL;
	}
	args->text = head->text;
	args->name = head->name;
	if (head->kind == NODE_DICT && args->children_cnt == 1) {
		args->kind = NODE_INDEX;
		return args;
	}
	if (head->kind != NODE_FUNCTION)
		return refuse_text(q);
	/* f[::] calls a function of no arguments. */
	if (head->name->args_cnt == 0 && args->children_cnt == 1 &&
	    args->children->kind == NODE_NULL)
		args->children_cnt = 0;
	if (args->children_cnt > (unsigned)head->name->args_cnt ||
	    args->children_cnt > REQUEST_ARGS_MAX)
		return refuse(q, "rank");
	args->kind = NODE_CALL;
	return args;
}

/* A primary and the brackets behind it. */
static struct node *
parse_term(struct query *q)
{
	struct node *n = parse_primary(q), *args;

	while (n != NULL && take_char(q, '[')) {
		args = parse_items(q, NODE_CALL, ']');
		if (args == NULL)
			return NULL;
		n = apply(q, n, args);
	}
	return n;
}

/* '-' is not among them: behind a term it is the operator. */
static bool
starts_primary(const struct query *q)
{
	return q->at < q->end &&
	       (starts_name(*q->at) || is_digit(*q->at) || *q->at == '`' ||
		*q->at == '"' || *q->at == '(' || *q->at == ':');
}

/* A term, or one that is applied to the expression behind it. */
static struct node *
parse_expr(struct query *q)
{
	struct node *n, *args, *arg;

	if (++q->depth > REQUEST_DEPTH_MAX)
		return refuse(q, query_too_much);
	n = parse_term(q);
	skip_spaces(q);
	if (n != NULL && starts_primary(q)) {
		arg = parse_expr(q);
		args = new_node(q, NODE_CALL);
		if (arg == NULL || args == NULL)
			return NULL;
		add_child(args, arg);
		n = apply(q, n, args);
	}
	q->depth--;
	if (n != NULL && (n->kind == NODE_FUNCTION || n->kind == NODE_DICT))
		return refuse_text(q);
	return n;
}

static struct node *
parse_statements(struct query *q)
{
	struct node *sequence = new_node(q, NODE_SEQUENCE), *n;

	do {
		skip_spaces(q);
		if (q->at == q->end || *q->at == ';')
			n = new_node(q, NODE_NULL);
		else
			n = parse_expr(q);
		if (n == NULL)
			return NULL;
		add_child(sequence, n);
	} while (take_char(q, ';'));
	return q->at == q->end ? sequence : refuse_text(q);
}

struct text
query_read_symbol(const char **at, const char *end)
{
	const char *start = *at + 1;

	*at = skip_symbol(*at, end);
	return (struct text){ start, (size_t)(*at - start) };
}

const struct node *
query_parse(struct query *q, const struct query_names *names, struct text text)
{
	q->names = names;
	q->at = text.at;
	q->end = text.at + text.len;
	q->error = NULL;
	q->depth = 0;
	q->nodes_cnt = 0;
	return parse_statements(q);
}
