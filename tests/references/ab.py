"""Activation boundaries, neuron by neuron (Heo et al., 2019)."""


def ab(student, teacher, margin):
    total = 0.0
    for s, t in zip(student.ravel(), teacher.ravel(), strict=True):
        if t <= 0 and s > -margin:
            total += (s + margin) ** 2
        elif t > 0 and s <= margin:
            total += (s - margin) ** 2
    return total / len(student)
