/* What a label set asks for; decides the loss of its head and how its outputs are read. */
#ifndef ARK_BASE_TASK_H
#define ARK_BASE_TASK_H

typedef enum ark_task {
    ARK_MULTILABEL, /* each class on its own: sigmoid, binary cross-entropy */
    ARK_BINARY,     /* one class: as multi-label with K = 1 */
    ARK_MULTICLASS, /* exactly one class: softmax, cross-entropy */
} ark_task;

#endif
