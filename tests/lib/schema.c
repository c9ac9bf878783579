/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One function for each keyword. The order of keys is no matter of JSON Schema, but a promise of ours.
 */
#include "schema.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

struct place {
	const json_t *root;
	char *why;
	size_t why_size;
	char path[256];
};

static int check_value(struct place *p, const json_t *schema, const json_t *value);

static int wrong(struct place *p, const char *keyword, const char *what)
{
	snprintf(p->why, p->why_size, "%s: %s: %s", p->path, keyword, what);
	return -1;
}

/* What stands below, under this step of the path. */
static int check_below(struct place *p, const char *step, const json_t *schema, const json_t *value)
{
	size_t len = strlen(p->path);
	int err;

	snprintf(p->path + len, sizeof(p->path) - len, "/%.60s", step);
	err = check_value(p, schema, value);
	if (!err)
		p->path[len] = '\0';
	return err;
}

/* ---- keywords: what the schema says of them, the whole schema, the value ---- */

typedef int keyword_fn(struct place *p, const json_t *says, const json_t *schema,
		       const json_t *value);

static int nothing(struct place *p, const json_t *says, const json_t *schema, const json_t *value)
{
	(void)p;
	(void)says;
	(void)schema;
	(void)value;
	return 0;
}

static bool is_type(const json_t *value, const char *type)
{
	return (json_is_object(value) && strcmp(type, "object") == 0) ||
	       (json_is_array(value) && strcmp(type, "array") == 0) ||
	       (json_is_string(value) && strcmp(type, "string") == 0) ||
	       (json_is_integer(value) && strcmp(type, "integer") == 0) ||
	       (json_is_number(value) && strcmp(type, "number") == 0) ||
	       (json_is_null(value) && strcmp(type, "null") == 0);
}

static int check_type(struct place *p, const json_t *says, const json_t *schema,
		      const json_t *value)
{
	bool found = json_is_string(says) && is_type(value, json_string_value(says));

	(void)schema;
	for (size_t i = 0; i < json_array_size(says) && !found; i++)
		found = is_type(value, json_string_value(json_array_get(says, i)));
	return found ? 0 : wrong(p, "type", "another one");
}

static int check_const(struct place *p, const json_t *says, const json_t *schema,
		       const json_t *value)
{
	(void)schema;
	return json_equal(says, value) ? 0 : wrong(p, "const", "another value");
}

static int check_enum(struct place *p, const json_t *says, const json_t *schema,
		      const json_t *value)
{
	(void)schema;
	for (size_t i = 0; i < json_array_size(says); i++) {
		if (json_equal(json_array_get(says, i), value))
			return 0;
	}
	return wrong(p, "enum", "not among the values");
}

static int check_minimum(struct place *p, const json_t *says, const json_t *schema,
			 const json_t *value)
{
	(void)schema;
	if (json_is_number(value) && json_number_value(value) < json_number_value(says))
		return wrong(p, "minimum", "below it");
	return 0;
}

static int check_maximum(struct place *p, const json_t *says, const json_t *schema,
			 const json_t *value)
{
	(void)schema;
	if (json_is_number(value) && json_number_value(value) > json_number_value(says))
		return wrong(p, "maximum", "above it");
	return 0;
}

static int check_min_length(struct place *p, const json_t *says, const json_t *schema,
			    const json_t *value)
{
	(void)schema;
	if (json_is_string(value) && json_string_length(value) < (size_t)json_integer_value(says))
		return wrong(p, "minLength", "shorter");
	return 0;
}

static int check_min_items(struct place *p, const json_t *says, const json_t *schema,
			   const json_t *value)
{
	(void)schema;
	if (json_is_array(value) && json_array_size(value) < (size_t)json_integer_value(says))
		return wrong(p, "minItems", "fewer");
	return 0;
}

static int check_max_items(struct place *p, const json_t *says, const json_t *schema,
			   const json_t *value)
{
	(void)schema;
	if (json_is_array(value) && json_array_size(value) > (size_t)json_integer_value(says))
		return wrong(p, "maxItems", "more");
	return 0;
}

static int check_required(struct place *p, const json_t *says, const json_t *schema,
			  const json_t *value)
{
	(void)schema;
	for (size_t i = 0; json_is_object(value) && i < json_array_size(says); i++) {
		const char *key = json_string_value(json_array_get(says, i));

		if (!json_object_get(value, key))
			return wrong(p, "required", key);
	}
	return 0;
}

static int check_additional(struct place *p, const json_t *says, const json_t *schema,
			    const json_t *value)
{
	const json_t *known = json_object_get(schema, "properties");
	const char *key;
	json_t *member;

	if (!json_is_false(says))
		return wrong(p, "additionalProperties", "only false is understood");
	json_object_foreach((json_t *)value, key, member)
	{
		if (!json_object_get(known, key))
			return wrong(p, "additionalProperties", key);
	}
	return 0;
}

static int check_properties(struct place *p, const json_t *says, const json_t *schema,
			    const json_t *value)
{
	void *at = json_object_iter((json_t *)value);
	const char *key;
	json_t *below;

	(void)schema;
	json_object_foreach((json_t *)says, key, below)
	{
		const json_t *member = json_object_get(value, key);

		if (!member)
			continue;
		if (strcmp(json_object_iter_key(at), key) != 0)
			return wrong(p, "order", key);
		at = json_object_iter_next((json_t *)value, at);
		if (check_below(p, key, below, member))
			return -1;
	}
	return 0;
}

static int check_items(struct place *p, const json_t *says, const json_t *schema,
		       const json_t *value)
{
	(void)schema;
	for (size_t i = 0; i < json_array_size(value); i++) {
		char step[24];

		snprintf(step, sizeof(step), "%zu", i);
		if (check_below(p, step, says, json_array_get(value, i)))
			return -1;
	}
	return 0;
}

/* "#/$defs/NAME" */
static int check_ref(struct place *p, const json_t *says, const json_t *schema, const json_t *value)
{
	static const char start[] = "#/$defs/";
	const char *text = json_string_value(says);
	const json_t *definition = NULL;

	(void)schema;
	if (strncmp(text, start, strlen(start)) == 0)
		definition =
			json_object_get(json_object_get(p->root, "$defs"), text + strlen(start));
	return definition ? check_value(p, definition, value) : wrong(p, "$ref", text);
}

static const struct {
	const char *keyword;
	keyword_fn *check;
} keywords[] = {
	{"$schema", nothing},
	{"$comment", nothing},
	{"$defs", nothing},
	{"title", nothing},
	{"description", nothing},
	{"type", check_type},
	{"const", check_const},
	{"enum", check_enum},
	{"minimum", check_minimum},
	{"maximum", check_maximum},
	{"minLength", check_min_length},
	{"minItems", check_min_items},
	{"maxItems", check_max_items},
	{"required", check_required},
	{"additionalProperties", check_additional},
	{"properties", check_properties},
	{"items", check_items},
	{"$ref", check_ref},
};

static int check_value(struct place *p, const json_t *schema, const json_t *value)
{
	const char *key;
	json_t *says;

	json_object_foreach((json_t *)schema, key, says)
	{
		size_t i = 0;

		while (i < ARRAY_SIZE(keywords) && strcmp(keywords[i].keyword, key) != 0)
			i++;
		if (i == ARRAY_SIZE(keywords))
			return wrong(p, key, "a keyword that is not known here");
		if (keywords[i].check(p, says, schema, value))
			return -1;
	}
	return 0;
}

int schema_check(const json_t *schema, const json_t *value, char *why, size_t why_size)
{
	struct place p = {.root = schema, .why = why, .why_size = why_size, .path = ""};

	return check_value(&p, schema, value);
}
