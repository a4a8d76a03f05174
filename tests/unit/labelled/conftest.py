from labelled_rows import (  # noqa: F401
    big,
    client,
    teacher_file,
    worker_threads,
    write_array,
    write_table,
)
