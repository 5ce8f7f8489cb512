#include "config.h"

#include "q/parse.h"

#include "base/util.h"
#include "q/literal.h"

const char query_not_understood[] = "nyi";
const char query_too_much[] = "limit";
const char query_limit[] = "limit";

/* The error of any assignment, whatever the names in the text. */
static const char assigns[] = "nyi";

/* ---- names in a text ---- */

bool
query_next_name(const char **at, const char *end, struct text *out)
{
	const char *begin = *at;
	unsigned braces = 0;

	while (*at < end) {
		const char *start = *at;

		*at = literal_skip_comment(begin, start, end);
		if (*at != start)
			continue;
		if (*start == '"') {
			*at = literal_skip_string(start, end);
		} else if (*start == '`') {
			*at = literal_skip_symbol(start, end);
		} else if (literal_starts_name(*start) ||
			   literal_is_digit(*start)) {
			while (*at < end && literal_continues_name(**at))
				(*at)++;
			*out = (struct text){ start, (size_t)(*at - start) };
			if (literal_starts_name(*start) && braces == 0)
				return true;
		} else {
			braces += *start == '{';
			braces -= *start == '}' && braces > 0;
			(*at)++;
		}
	}
	return false;
}

bool
query_is_name(struct text *text)
{
	struct text t = *text;

	for (; t.len > 0 && literal_is_space(*t.at); t.len--)
		t.at++;
	while (t.len > 0 && literal_is_space(t.at[t.len - 1]))
		t.len--;
	if (t.len == 0 || !literal_starts_name(*t.at))
		return false;
	for (size_t i = 1; i < t.len; i++)
		if (!literal_continues_name(t.at[i]))
			return false;
	*text = t;
	return true;
}

/* ---- nodes ---- */

/* Keeps the first error.  All parts of the parser return NULL after it. */
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
	return refuse(q, query_not_understood);
}

static struct node *
new_node(struct query *q, enum node_kind kind)
{
	struct wire_writer *stack = q->stack;
	size_t pad = -(uintptr_t)stack->at % _Alignof(struct node);
	struct node *n;

	if (stack->is_full || *q->steps == 0 ||
	    (size_t)(stack->end - stack->at) < pad + sizeof(*n))
		return refuse(q, query_limit);
	--*q->steps;
	n = (struct node *)(void *)(stack->at + pad);
	stack->at += pad + sizeof(*n);
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

/* Sets the value of the node to the bytes on the stack from off on. */
static struct node *
end_value(struct query *q, struct node *n, size_t off)
{
	if (q->stack->is_full)
		return refuse(q, query_limit);
	n->value.at = q->stack->base + off;
	n->value.len = wire_written(q->stack) - off;
	return n;
}

static struct node *
new_null(struct query *q, uint8_t idx)
{
	struct node *n = new_node(q, NODE_VALUE);
	size_t off = wire_written(q->stack);

	if (n == NULL)
		return NULL;
	wire_put_u8(q->stack, KT_UNARY);
	wire_put_u8(q->stack, idx);
	return end_value(q, n, off);
}

static struct node *
new_verb(struct query *q, const struct verb *verb)
{
	struct node *n = new_node(q, NODE_VALUE);
	size_t off = wire_written(q->stack);

	if (n == NULL)
		return NULL;
	n->verb = verb;
	value_put_own(q->stack, OWN_VERB, verb_idx(verb));
	return end_value(q, n, off);
}

/* Makes head[arg] or head[left;right]; the nodes may be NULL after an error. */
static struct node *
new_call(struct query *q, struct node *head, struct node *left,
	 struct node *right)
{
	struct node *n = new_node(q, NODE_CALL);

	if (n == NULL || head == NULL || right == NULL)
		return NULL;
	add_child(n, head);
	if (left != NULL)
		add_child(n, left);
	add_child(n, right);
	return n;
}

/* ---- literals ---- */

static void
skip_spaces(struct query *q)
{
	const char *from;

	do {
		while (q->at < q->end && literal_is_space(*q->at))
			q->at++;
		from = q->at;
		q->at = literal_skip_comment(q->begin, from, q->end);
	} while (q->at != from);
}

/* Skips spaces and returns the next character; NUL at the end. */
static char
peek(struct query *q)
{
	skip_spaces(q);
	return q->at < q->end ? *q->at : '\0';
}

/* Skips spaces, and c if it comes next: then true. */
static bool
take_char(struct query *q, char c)
{
	if (peek(q) != c || q->at == q->end)
		return false;
	q->at++;
	return true;
}

static struct node *
parse_literal(struct query *q)
{
	struct node *n = new_node(q, NODE_VALUE);
	size_t off = wire_written(q->stack);
	bool is_good = true;

	if (n == NULL)
		return NULL;
	if (*q->at == '`')
		is_good = literal_symbols(&q->at, q->end, q->steps, q->stack);
	else if (*q->at == '"')
		is_good = literal_string(&q->at, q->end, q->steps, q->stack);
	else
		is_good = literal_numbers(&q->at, q->end, q->steps, q->stack);
	if (is_good)
		return end_value(q, n, off);
	return refuse(q, *q->steps == 0 ? query_limit : query_not_understood);
}

/* ---- names and lambdas ---- */

static struct node *
parse_name(struct query *q)
{
	struct text name = { q->at, 0 };
	const struct verb *verb;
	struct node *n;

	while (q->at < q->end && literal_continues_name(*q->at))
		q->at++;
	name.len = (size_t)(q->at - name.at);
	if (peek(q) == ':') /* a:1, a::1 */
		return refuse(q, assigns);
	verb = name.len == 1 && *name.at == '.' ? verb_operator('.')
						: verb_find(name);
	if (verb != NULL)
		return new_verb(q, verb);
	n = new_node(q, NODE_NAME);
	if (n == NULL)
		return NULL;
	n->name = name;
	if (name.len == 1 && *name.at >= 'x' && *name.at <= 'z')
		q->implicit_cnt = (unsigned)max_u64(
			q->implicit_cnt, (unsigned)(*name.at - 'x' + 1));
	return n;
}

static struct node *parse_expr(struct query *q);

/* expr ; expr ; ... up to the end, or up to a closing brace, which is not
 * consumed. */
static struct node *
parse_statements(struct query *q)
{
	struct node *sequence = new_node(q, NODE_SEQUENCE), *n;

	if (sequence == NULL)
		return NULL;
	do {
		char c = peek(q);

		if (q->at == q->end || c == ';' || c == '}')
			n = new_null(q, 0);
		else
			n = parse_expr(q);
		if (n == NULL)
			return NULL;
		add_child(sequence, n);
	} while (take_char(q, ';'));
	return sequence;
}

/* [a;b] at the beginning of a lambda */
static bool
parse_params(struct query *q, struct query_lambda *out)
{
	if (take_char(q, ']'))
		return true;
	do {
		struct text name = { q->at, 0 };

		if (!literal_is_letter(peek(q)) ||
		    out->params_cnt == QUERY_PARAMS_MAX)
			return refuse_text(q) != NULL;
		name.at = q->at;
		while (q->at < q->end && literal_continues_name(*q->at))
			q->at++;
		name.len = (size_t)(q->at - name.at);
		out->params[out->params_cnt++] = name;
	} while (take_char(q, ';'));
	return take_char(q, ']') || refuse_text(q) != NULL;
}

static bool
parse_lambda_parts(struct query *q, struct query_lambda *out)
{
	static const char implicit[] = "xyz";
	bool is_implicit;

	*out = (struct query_lambda){ 0 };
	if (!take_char(q, '{'))
		return refuse_text(q) != NULL;
	is_implicit = !take_char(q, '[');
	if (!is_implicit && !parse_params(q, out))
		return false;
	q->implicit_cnt = 1;
	out->body = parse_statements(q);
	if (out->body == NULL)
		return false;
	if (is_implicit)
		for (; out->params_cnt < q->implicit_cnt; out->params_cnt++)
			out->params[out->params_cnt] =
				(struct text){ implicit + out->params_cnt, 1 };
	return take_char(q, '}') || refuse_text(q) != NULL;
}

/* A lambda is parsed to find its end and its errors, and kept as text. */
static struct node *
parse_lambda(struct query *q)
{
	unsigned implicit_cnt = q->implicit_cnt;
	struct wire_writer *stack = q->stack;
	const char *start = q->at;
	uint8_t *top = stack->at;
	struct query_lambda lambda;
	struct node *n;
	size_t off, len;

	if (!parse_lambda_parts(q, &lambda))
		return NULL;
	stack->at = top;
	q->implicit_cnt = implicit_cnt;
	n = new_node(q, NODE_VALUE);
	if (n == NULL)
		return NULL;
	off = wire_written(stack);
	len = (size_t)(q->at - start);
	wire_put_u8(stack, KT_LAMBDA);
	wire_put_symbol_item(stack, "", 0);
	wire_put_list(stack, KT_CHAR, KA_NONE, (uint32_t)len);
	wire_put_bytes(stack, start, len);
	return end_value(q, n, off);
}

/* ---- expressions ---- */

static struct node *
parse_list(struct query *q)
{
	struct node *n = new_node(q, NODE_LIST), *item;

	if (n == NULL || take_char(q, ')'))
		return n;
	do {
		item = parse_expr(q);
		if (item == NULL)
			return NULL;
		add_child(n, item);
	} while (take_char(q, ';'));
	if (!take_char(q, ')'))
		return refuse_text(q);
	return n->children_cnt == 1 ? item : n;
}

/* Parses the arguments after an opening bracket; some may be omitted. */
static struct node *
parse_args(struct query *q, struct node *head)
{
	struct node *n = new_node(q, NODE_CALL), *arg;
	bool is_dollar = head->verb == verb_operator('$');

	if (n == NULL)
		return NULL;
	add_child(n, head);
	if (take_char(q, ']'))
		return n;
	do {
		char c = peek(q);

		if (q->at < q->end && (c == ';' || c == ']'))
			arg = new_null(q, is_dollar ? 0 : UNARY_ELIDED);
		else
			arg = parse_expr(q);
		if (arg == NULL)
			return NULL;
		add_child(n, arg);
	} while (take_char(q, ';'));
	if (!take_char(q, ']'))
		return refuse_text(q);
	if (!is_dollar || n->children_cnt < 4)
		return n;
	/* Drop the operator: $[c;t;f] is not an application. */
	n->kind = NODE_COND;
	n->children = head->next;
	n->children_cnt--;
	return n->children_cnt % 2 == 1 ? n : refuse_text(q);
}

static struct node *
parse_adverb(struct query *q, struct node *head)
{
	bool is_both = *q->at == '\'';
	struct node *n = new_node(q, NODE_DERIVED);

	if (n == NULL)
		return NULL;
	if (!is_both && (q->end - q->at < 2 || q->at[1] != ':'))
		return refuse_text(q); /* / and \ */
	n->adverb = is_both	    ? KT_EACH
		    : *q->at == '/' ? KT_EACH_RIGHT
				    : KT_EACH_LEFT;
	q->at += is_both ? 1 : 2;
	add_child(n, head);
	return n;
}

static struct node *
parse_operator(struct query *q)
{
	const struct verb *verb = verb_operator(*q->at);

	if (verb == NULL)
		return refuse_text(q);
	q->at++;
	if (q->at < q->end && *q->at == ':') /* a,:b */
		return refuse(q, assigns);
	return new_verb(q, verb);
}

static struct node *
parse_primary(struct query *q, bool is_after_term)
{
	char c = peek(q);

	if (q->at == q->end)
		return refuse_text(q);
	/* x-1 is a difference, x -1 is not. */
	if (c == '`' || c == '"' ||
	    (literal_starts_number(q->at, q->end) &&
	     !(c == '-' && is_after_term && !literal_is_space(q->at[-1]))))
		return parse_literal(q);
	if (literal_starts_name(c))
		return parse_name(q);
	if (c == ':' && q->end - q->at > 1 && q->at[1] == ':') {
		q->at += 2;
		return new_null(q, 0);
	}
	if (c == '{')
		return parse_lambda(q);
	if (take_char(q, '('))
		return parse_list(q);
	return parse_operator(q);
}

/* A primary with the adverbs and brackets that follow. */
static struct node *
parse_term(struct query *q, bool is_after_term)
{
	struct node *n = parse_primary(q, is_after_term);

	while (n != NULL && q->at < q->end) {
		if (*q->at == '\'' || *q->at == '\\' || *q->at == '/')
			n = parse_adverb(q, n);
		else if (take_char(q, '['))
			n = parse_args(q, n);
		else
			break;
	}
	return n;
}

static bool
ends_expr(struct query *q)
{
	char c = peek(q);

	return q->at == q->end || c == ';' || c == ')' || c == ']' || c == '}';
}

static bool
is_infix(const struct node *n)
{
	return n->kind == NODE_DERIVED ||
	       (n->verb != NULL && n->verb->place != VERB_PREFIX);
}

/* A term and the rest of its expression: an infix function, or the argument of
 * the term. */
static struct node *
parse_rest(struct query *q, struct node *term)
{
	struct node *next, *n;

	if (term == NULL || ends_expr(q))
		return term;
	if (++q->depth > QUERY_DEPTH_MAX)
		return refuse(q, query_limit);
	if (term->verb != NULL && is_infix(term))
		return refuse_text(q); /* ,x */
	next = parse_term(q, true);
	if (next == NULL)
		return NULL;
	if (!is_infix(next))
		n = new_call(q, term, NULL, parse_rest(q, next));
	else if (ends_expr(q))
		return refuse_text(q); /* x, */
	else
		n = new_call(q, next, term, parse_expr(q));
	q->depth--;
	return n;
}

static struct node *
parse_expr(struct query *q)
{
	struct node *n;

	if (++q->depth > QUERY_DEPTH_MAX)
		return refuse(q, query_limit);
	n = parse_rest(q, parse_term(q, false));
	q->depth--;
	return n;
}

static void
start(struct query *q, struct text text)
{
	q->begin = q->at = text.at;
	q->end = text.at + text.len;
	q->error = NULL;
	q->depth = 0;
	q->implicit_cnt = 0;
}

const struct node *
query_parse(struct query *q, struct text text)
{
	const struct node *n;

	start(q, text);
	n = parse_statements(q);
	return n == NULL || q->at == q->end ? n : refuse_text(q);
}

bool
query_parse_lambda(struct query *q, struct text text, struct query_lambda *out)
{
	start(q, text);
	if (!parse_lambda_parts(q, out))
		return false;
	skip_spaces(q);
	return q->at == q->end || refuse_text(q) != NULL;
}
