"""Templates of the C99 source; ``$NAME`` marks the placeholders."""

from string import Template

HEADER = Template("""\
/* A soft decision tree of depth $DEPTH, exported by soft-students.
 *
 * Each function reads one row of ${P}_N_FEATURES finite numbers, in the same form as the training
 * rows, and writes ${P}_N_OUTPUTS numbers: $OUTPUTS.
 *
 *   ${p}_greedy         leaf along the likelier child at each gate: the fastest
 *   ${p}_greatest_path  leaf of greatest path probability, which may be another one
 *   ${p}_expectation    mean of all leaves, weighted by path probability
 *   ${p}_predict        $PREDICTION, as the exported tree predicts
 *
 * $RETURNS They allocate nothing and keep no state: any number of threads may call them.
 * Build with any C99 compiler, and link the mathematics library: cc -O2 -c $SOURCE ... -lm
 */
#ifndef ${P}_SOFT_TREE_H
#define ${P}_SOFT_TREE_H

#ifdef __cplusplus
extern "C" {
#endif

#define ${P}_N_FEATURES $N_FEATURES
#define ${P}_N_OUTPUTS $N_OUTPUTS

typedef $INPUT ${p}_input;

$RESULT ${p}_greedy(const ${p}_input *x, double *outputs);
$RESULT ${p}_greatest_path(const ${p}_input *x, double *outputs);
$RESULT ${p}_expectation(const ${p}_input *x, double *outputs);
$RESULT ${p}_predict(const ${p}_input *x, double *outputs);
$CLASSES
#ifdef __cplusplus
}
#endif

#endif
""")

CLASSES = Template("""
/* The name of each class, in UTF-8, in the order of the outputs. */
extern const char *const ${p}_classes[${P}_N_OUTPUTS];
""")

SOURCE = Template("""\
/* A soft decision tree, exported by soft-students. Usage: see the header. */
#include "$HEADER"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define N_FEATURES ${P}_N_FEATURES
#define N_OUTPUTS ${P}_N_OUTPUTS
#define N_LEAVES $N_LEAVES
#define N_GATES (N_LEAVES - 1)
#define LANES 8
#define WHOLE (N_FEATURES / LANES * LANES)

/* The activation of gate i is scales[i] * (weights[i] . x) + biases[i]; positive means right. Its
 * children are 2i + 1 (left) and 2i + 2 (right); leaf l is node N_GATES + l. */
$TABLES
$DECODE
static double activation(const ${p}_input *x, int gate)
{
    const $STORED *w = weights + (size_t)gate * N_FEATURES;
    double sums[LANES] = {0};
    double sum = 0;
    int j, k;

    /* Independent sums, which the compiler keeps in vector registers. */
    for (j = 0; j < WHOLE; j += LANES)
        for (k = 0; k < LANES; k++)
            sums[k] += $VALUE_K * (double)x[j + k];
    for (j = WHOLE; j < N_FEATURES; j++)
        sum += $VALUE * (double)x[j];
    for (k = 0; k < LANES; k++)
        sum += sums[k];
    return scales[gate] * sum + biases[gate];
}

static double sigmoid(double a)
{
    return 1 / (1 + exp(-a));
}

/* Search below a node for a leaf of greater path probability than the best so far. */
static void seek(const ${p}_input *x, int node, double path, double *best, int *leaf)
{
    double a, likelier, other;
    int right;

    if (node >= N_GATES) {
        if (path > *best || (path == *best && node - N_GATES < *leaf)) {
            *best = path;
            *leaf = node - N_GATES;
        }
        return;
    }
    a = activation(x, node);
    right = a > 0;
    likelier = path * sigmoid(fabs(a));
    other = path * sigmoid(-fabs(a));
    if (likelier >= *best)
        seek(x, 2 * node + 1 + right, likelier, best, leaf);
    if (other >= *best)
        seek(x, 2 * node + 2 - right, other, best, leaf);
}

/* Add the outputs of the leaves below a node, weighted by path probability. */
static void gather(const ${p}_input *x, int node, double path, double *outputs)
{
    double a;
    int k;

    if (node >= N_GATES) {
        const double *leaf = leaves + (size_t)(node - N_GATES) * N_OUTPUTS;

        for (k = 0; k < N_OUTPUTS; k++)
            outputs[k] += path * leaf[k];
        return;
    }
    a = activation(x, node);
    gather(x, 2 * node + 1, path * sigmoid(-a), outputs);
    gather(x, 2 * node + 2, path * sigmoid(a), outputs);
}

static void answer(int leaf, double *outputs)
{
    memcpy(outputs, $ANSWERS + (size_t)leaf * N_OUTPUTS, N_OUTPUTS * sizeof *outputs);
}
$READING
$RESULT ${p}_greedy(const ${p}_input *x, double *outputs)
{
    int node = 0;

    while (node < N_GATES)
        node = 2 * node + 1 + (activation(x, node) > 0);
    answer(node - N_GATES, outputs);
$RETURN}

$RESULT ${p}_greatest_path(const ${p}_input *x, double *outputs)
{
    double best = -1;
    int leaf = 0;

    seek(x, 0, 1.0, &best, &leaf);
    answer(leaf, outputs);
$RETURN}

$RESULT ${p}_expectation(const ${p}_input *x, double *outputs)
{
    int k;

    for (k = 0; k < N_OUTPUTS; k++)
        outputs[k] = 0;
    gather(x, 0, 1.0, outputs);
$FINISH$RETURN}

$RESULT ${p}_predict(const ${p}_input *x, double *outputs)
{
    $RETURN_CALL${p}_$PREDICTION(x, outputs);
}
""")

HALF_FUNCTION = """
/* Decode a half-precision number: its bits as those of a float, which is 2^112 too small. */
static double half(uint16_t bits)
{
    uint32_t wide = (uint32_t)(bits & 0x7fff) << 13 | (uint32_t)(bits & 0x8000) << 16;
    float value;

    memcpy(&value, &wide, sizeof value);
    return (double)value * 5192296858534827628530496329220096.0;
}
"""

LIKELIEST = """
static int likeliest(const double *outputs)
{
    int k, best = 0;

    for (k = 1; k < N_OUTPUTS; k++)
        if (outputs[k] > outputs[best])
            best = k;
    return best;
}
"""

NORMALISE = """
/* Correct the sum of probabilities for rounding. */
static void normalise(double *outputs)
{
    double total = 0;
    int k;

    for (k = 0; k < N_OUTPUTS; k++)
        total += outputs[k];
    for (k = 0; k < N_OUTPUTS; k++)
        outputs[k] /= total;
}
"""

SHARPEN = Template("""
/* Undo the temperature T of the training: p^T, normalised. */
static void sharpen(double *outputs)
{
    const double temperature = $TEMPERATURE;
    double greatest = outputs[0];
    int k;

    for (k = 1; k < N_OUTPUTS; k++)
        greatest = outputs[k] > greatest ? outputs[k] : greatest;
    for (k = 0; k < N_OUTPUTS; k++)
        outputs[k] = pow(outputs[k] / greatest, temperature);
    normalise(outputs);
}
""")
