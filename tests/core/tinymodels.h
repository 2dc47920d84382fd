#pragma once

#include "core/model.h"
#include "tests/core/tinyfamilies.h"
#include "tests/core/tinygguf.h"

namespace tiny {

// Of a row of tinygguf::cases() or of cases(). A folder's model stays readable after the folder has gone, since its
// files are mapped.
inline quern::Model modelOf(const QString& row)
{
    for (const tinygguf::Case& c : tinygguf::cases())
        if (row == c.row)
            return c.make();
    Folder folder;
    fill(folder, row.toStdString());
    return quern::openModel(folder.written());
}

} // namespace tiny
