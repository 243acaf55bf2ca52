-- E-mail addresses are kept in lower case and without blanks around them, and every deletion of a user leaves a line in
-- the table log, on every node.

local function trimmed(text)
    return text:gsub("^%s+", ""):gsub("%s+$", "")
end

function before(cs, db)
    for _, change in ipairs(cs.changes) do
        if change.table == "users" then
            local row = change.new_values
            if row and type(row.email) == "string" then
                row.email = trimmed(row.email):lower()
            end
        end
    end
end

function after(cs, db, err)
    if err then
        return err
    end
    for _, change in ipairs(cs.changes) do
        if change.table == "users" and change.operation == "DELETE" then
            db:exec("INSERT INTO log (node, email) VALUES (?, ?)", cs.node, change.old_values.email)
        end
    end
end
