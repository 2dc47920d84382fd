#include "library.h"

#include <dlfcn.h>

// The folder that holds node_modules; set by CMakeLists.txt.
#ifndef QUERN_JUDGE_DIR
#define QUERN_JUDGE_DIR folderOf(__FILE__)
#endif

namespace judge {

namespace {

[[maybe_unused]] std::string folderOf(std::string_view file)
{
    const std::size_t slash = file.rfind('/');
    return slash == std::string_view::npos ? "." : std::string(file.substr(0, slash));
}

} // namespace

std::string Library::folder()
{
    return std::string(QUERN_JUDGE_DIR) + "/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64";
}

Library::Library(const char* file)
    : m_file(file)
    , m_handle(dlopen((folder() + '/' + file).c_str(), RTLD_NOW | RTLD_LOCAL))
{
    if (!m_handle)
        m_reason = "The judge's libraries are not there (run npm ci in tests/judge): " + std::string(dlerror());
}

void* Library::findOptional(const char* name) const
{
    return m_handle ? dlsym(m_handle, name) : nullptr;
}

void* Library::symbol(const char* name)
{
    void* found = findOptional(name);
    if (!found && m_reason.empty())
        m_reason = m_file + " has no function " + name + "; it is not the version that the judge was written for.";
    return found;
}

} // namespace judge
