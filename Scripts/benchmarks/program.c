/* What the gcc workload compiles: ordinary C with the standard headers, and an answer to check. */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *key;
    uint64_t count;
    struct entry *next;
};

struct table {
    struct entry **slots;
    size_t slot_count, entry_count;
};

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t hash(const char *key)
{
    uint64_t value = 14695981039346656037u;
    for (; *key; key++)
        value = (value ^ (unsigned char)*key) * 1099511628211u;
    return value;
}

static void grow(struct table *table)
{
    size_t wanted = table->slot_count ? table->slot_count * 2 : 16;
    struct entry **slots = calloc(wanted, sizeof *slots);
    if (!slots)
        exit(1);
    for (size_t i = 0; i < table->slot_count; i++)
        for (struct entry *entry = table->slots[i], *next; entry; entry = next) {
            next = entry->next;
            size_t slot = hash(entry->key) & (wanted - 1);
            entry->next = slots[slot];
            slots[slot] = entry;
        }
    free(table->slots);
    table->slots = slots;
    table->slot_count = wanted;
}

static struct entry *find(struct table *table, const char *key)
{
    if (table->entry_count * 4 >= table->slot_count * 3)
        grow(table);
    struct entry **slot = &table->slots[hash(key) & (table->slot_count - 1)];
    for (struct entry *entry = *slot; entry; entry = entry->next)
        if (strcmp(entry->key, key) == 0)
            return entry;
    struct entry *entry = malloc(sizeof *entry);
    if (!entry || !(entry->key = strdup(key)))
        exit(1);
    entry->count = 0;
    entry->next = *slot;
    table->entry_count++;
    return *slot = entry;
}

static int by_count(const void *left, const void *right)
{
    const struct entry *a = *(struct entry *const *)left, *b = *(struct entry *const *)right;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return strcmp(a->key, b->key);
}

struct parser {
    const char *text;
    int depth;
};

static long expression(struct parser *parser);

static long primary(struct parser *parser)
{
    while (isspace((unsigned char)*parser->text))
        parser->text++;
    if (*parser->text == '(' && parser->depth < 64) {
        parser->text++;
        parser->depth++;
        long value = expression(parser);
        parser->depth--;
        if (*parser->text == ')')
            parser->text++;
        return value;
    }
    char *end;
    long value = strtol(parser->text, &end, 10);
    parser->text = end;
    return value;
}

static long term(struct parser *parser)
{
    long value = primary(parser);
    for (;;) {
        switch (*parser->text) {
        case '*':
            parser->text++;
            value *= primary(parser);
            break;
        case '/': {
            parser->text++;
            long divisor = primary(parser);
            value = divisor ? value / divisor : 0;
            break;
        }
        case '%': {
            parser->text++;
            long divisor = primary(parser);
            value = divisor ? value % divisor : 0;
            break;
        }
        default:
            return value;
        }
    }
}

static long expression(struct parser *parser)
{
    long value = term(parser);
    for (;;) {
        if (*parser->text == '+') {
            parser->text++;
            value += term(parser);
        } else if (*parser->text == '-') {
            parser->text++;
            value -= term(parser);
        } else
            return value;
    }
}

enum { SIDE = 24 };

static double trace_of_power(int power)
{
    static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            a[i][j] = (double)((i * 31 + j * 17) % 11) / 64;
            b[i][j] = i == j;
        }
    while (power-- > 0) {
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) {
                double sum = 0;
                for (int k = 0; k < SIDE; k++)
                    sum += a[i][k] * b[k][j];
                c[i][j] = sum;
            }
        memcpy(b, c, sizeof b);
    }
    double trace = 0;
    for (int i = 0; i < SIDE; i++)
        trace += b[i][i];
    return trace;
}

int main(void)
{
    struct table table = {0};
    char key[16];
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "key%u", (unsigned)(next_random() % 97));
        find(&table, key)->count++;
    }
    struct entry **sorted = malloc(table.entry_count * sizeof *sorted);
    if (!sorted)
        return 1;
    size_t count = 0;
    for (size_t i = 0; i < table.slot_count; i++)
        for (struct entry *entry = table.slots[i]; entry; entry = entry->next)
            sorted[count++] = entry;
    qsort(sorted, count, sizeof *sorted, by_count);
    for (size_t i = 0; i < count && i < 5; i++)
        printf("%s %llu\n", sorted[i]->key, (unsigned long long)sorted[i]->count);
    struct parser parser = {"(1+2)*(3+4*(5-6))%1000-7/2", 0};
    printf("%ld %.6f\n", expression(&parser), trace_of_power(5));
    return 0;
}
