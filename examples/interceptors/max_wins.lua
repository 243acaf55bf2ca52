-- Of two nodes that have written the same counter at the same time the higher value stays, not the later one.

local TABLE, KEY, VALUE = "counters", "name", "n"

function before(cs, db)
    for _, change in ipairs(cs.changes) do
        if change.table == TABLE and change.operation ~= "DELETE" then
            local row = change.new_values
            local sql = "SELECT " .. VALUE .. " FROM " .. TABLE .. " WHERE " .. KEY .. " = ?"
            local there = db:value(sql, row[KEY])
            if type(there) == "number" and (type(row[VALUE]) ~= "number" or row[VALUE] < there) then
                row[VALUE] = there
            end
        end
    end
end
